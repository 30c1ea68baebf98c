"""The image fields of a Pod, and deciding on the image in each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.core import Decision, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from webhook.objects.pod import Container, PodSpec, Volume

__all__ = [
    "EPHEMERAL_CONTAINERS",
    "VOLUMES",
    "ImageDecision",
    "ImageField",
    "decide_images",
    "find_images",
]

CONTAINERS: Final = "containers"
INIT_CONTAINERS: Final = "initContainers"
EPHEMERAL_CONTAINERS: Final = "ephemeralContainers"
VOLUMES: Final = "volumes"
NEVER: Final = "Never"


class ImageField(NamedTuple):
    """A field of an object that holds an image.

    Attributes:
        pointer: RFC 6901 pointer to the field.
        image: The value of the field.
        section: The list in the Pod's spec that it belongs to: ``containers``, ``volumes`` …
        name: The name of the container; ``volume:`` and the name for a volume.
        pull_policy: The pull policy of the image, if it is given.
    """

    pointer: str
    image: str
    section: str
    name: str
    pull_policy: str | None


class ImageDecision(NamedTuple):
    """An image field, and the decision on its image."""

    field: ImageField
    decision: Decision


def find_images(spec: PodSpec, at: str = "/spec") -> list[ImageField]:
    """Return the image fields of a Pod's spec that are not empty.

    Args:
        spec: The spec.
        at: RFC 6901 pointer to the spec within its object.
    """
    return [
        *_find_in_containers(spec.containers, CONTAINERS, at),
        *_find_in_containers(spec.init_containers, INIT_CONTAINERS, at),
        *_find_in_containers(spec.ephemeral_containers, EPHEMERAL_CONTAINERS, at),
        *_find_in_volumes(spec.volumes, at),
    ]


def decide_images(
    fields: Iterable[ImageField], decide: Callable[[str], Decision]
) -> list[ImageDecision]:
    """Decide on the image in each field.

    Args:
        fields: The fields. An image that is never pulled keeps its name, as the node has
            it under that name.
        decide: Decides on one image, as `MirrorMap.decide` does.
    """
    return [
        ImageDecision(
            field,
            Decision(field.image, Outcome.LOCAL, "its pull policy is Never")
            if field.pull_policy == NEVER
            else decide(field.image),
        )
        for field in fields
    ]


def _find_in_containers(
    containers: Iterable[Container] | None, section: str, at: str
) -> list[ImageField]:
    return [
        ImageField(
            pointer=f"{at}/{section}/{index}/image",
            image=container.image,
            section=section,
            name=container.name or "",
            pull_policy=container.image_pull_policy,
        )
        for index, container in enumerate(containers or ())
        if container.image
    ]


def _find_in_volumes(volumes: Iterable[Volume] | None, at: str) -> list[ImageField]:
    return [
        ImageField(
            pointer=f"{at}/{VOLUMES}/{index}/image/reference",
            image=volume.image.reference,
            section=VOLUMES,
            name=f"volume:{volume.name or ''}",
            pull_policy=volume.image.pull_policy,
        )
        for index, volume in enumerate(volumes or ())
        if volume.image is not None and volume.image.reference
    ]

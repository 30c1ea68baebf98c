"""The image slots of a Pod: where each image stands, and what belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.objects.pod import Container, PodSpec, Volume

__all__ = [
    "CONTAINER_FIELDS",
    "EPHEMERAL_CONTAINERS",
    "VOLUMES",
    "ImageSlot",
    "image_slots",
]

CONTAINERS: Final = "containers"
INIT_CONTAINERS: Final = "initContainers"
EPHEMERAL_CONTAINERS: Final = "ephemeralContainers"
CONTAINER_FIELDS: Final = (CONTAINERS, INIT_CONTAINERS, EPHEMERAL_CONTAINERS)
VOLUMES: Final = "volumes"


class ImageSlot(NamedTuple):
    """One image string in an object.

    Attributes:
        pointer: Its place, as an RFC 6901 pointer into the object.
        image: The text that stands there.
        field: The list it belongs to: ``containers``, ``volumes`` …
        name: The container's name; ``volume:`` and the name for a volume.
        pull_policy: The pull policy beside it, if one is written.
    """

    pointer: str
    image: str
    field: str
    name: str
    pull_policy: str | None


def image_slots(spec: PodSpec, at: str = "/spec") -> list[ImageSlot]:
    """Return every image of a Pod's spec; empty texts are none.

    Args:
        spec: The spec.
        at: RFC 6901 pointer to the spec within its object.
    """
    slots: list[ImageSlot] = []
    if spec.containers:
        slots += container_slots(spec.containers, CONTAINERS, at)
    if spec.init_containers:
        slots += container_slots(spec.init_containers, INIT_CONTAINERS, at)
    if spec.ephemeral_containers:
        slots += container_slots(spec.ephemeral_containers, EPHEMERAL_CONTAINERS, at)
    if spec.volumes:
        slots += volume_slots(spec.volumes, at)
    return slots


def container_slots(containers: Iterable[Container], field: str, at: str) -> list[ImageSlot]:
    """Return the images of one list of containers."""
    return [
        ImageSlot(
            f"{at}/{field}/{index}/image",
            container.image,
            field,
            container.name or "",
            container.image_pull_policy,
        )
        for index, container in enumerate(containers)
        if container.image
    ]


def volume_slots(volumes: Iterable[Volume], at: str) -> list[ImageSlot]:
    """Return the images of the image volumes."""
    return [
        ImageSlot(
            pointer=f"{at}/{VOLUMES}/{index}/image/reference",
            image=volume.image.reference,
            field=VOLUMES,
            name=f"volume:{volume.name or ''}",
            pull_policy=volume.image.pull_policy,
        )
        for index, volume in enumerate(volumes)
        if volume.image is not None and volume.image.reference
    ]

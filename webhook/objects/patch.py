"""JSON Patch (RFC 6902): the few operations that change a Pod's images, and no others.

Only ``replace`` of image strings that are there, and ``add`` of our own annotation and
of the Secrets that a mirror needs.
An operation that does not apply would make the API server reject the Pod even
under failurePolicy Ignore, so there is no ``test``, and no pointer that is not
in the object.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.objects.pod import ObjectMeta, PodSpec
    from webhook.objects.rewrite import Placement

__all__ = [
    "ORIGINAL_IMAGES",
    "Operation",
    "RecordPlace",
    "image_operations",
    "record_operation",
    "record_place",
    "secret_operations",
]

ORIGINAL_IMAGES: Final = "mirrorhook.io/original-images"

# apimachinery: the keys and values of all annotations of an object together.
MAX_ANNOTATIONS: Final = 256 * 1024
# Half is left for what we write; and a character outside ASCII takes four bytes at most.
MAX_ROOMY: Final = MAX_ANNOTATIONS // 2
MAX_ROOMY_CHARACTERS: Final = MAX_ROOMY // 4


_encode = msgspec.json.Encoder().encode


class RecordPlace(Enum):
    """Where the images as they were are written down: by what is written there already."""

    NOWHERE = "nowhere"  # there is no place for it
    ALONE = "alone"  # there are no annotations
    BESIDE = "beside"  # there are others, and much room
    MINDFUL = "mindful"  # it depends on what the annotations are


class Operation(Struct, frozen=True, gc=False):
    """One operation of a patch."""

    op: Literal["add", "replace"]
    path: str
    value: Any


def escaped(token: str) -> str:
    """Return *token* as one part of an RFC 6901 pointer."""
    return token.replace("~", "~0").replace("/", "~1")


def image_operations(placements: Iterable[Placement]) -> list[Operation]:
    """Return the operations that put the chosen images in place."""
    return [
        Operation("replace", slot.pointer, decision.candidate.image)
        for slot, decision in placements
        if decision.candidate is not None
    ]


def secret_operations(spec: PodSpec | None, placements: Iterable[Placement]) -> list[Operation]:
    """Return the operations that append the Secrets which the chosen mirrors need.

    Those that the Pod has stay where they are, and none is there twice.

    Args:
        spec: The Pod's spec, as it is.
        placements: The decisions.
    """
    needed = {
        name: None
        for _, decision in placements
        if decision.candidate is not None
        for name in decision.candidate.mirror.pull_secrets
    }
    if not needed or spec is None or spec.image_pull_secrets is UNSET:
        return []
    known = {secret.name for secret in spec.image_pull_secrets or ()}
    added = [{"name": name} for name in needed if name not in known]
    if added and spec.image_pull_secrets is None:
        return [Operation("add", "/spec/imagePullSecrets", added)]
    return [Operation("add", "/spec/imagePullSecrets/-", secret) for secret in added]


def record_place(metadata: ObjectMeta | None, most: int = MAX_ANNOTATIONS) -> RecordPlace:
    """Say where the images as they were would be written down.

    For all Pods with the same place, save `MINDFUL`, the same images make the same
    `record_operation`, as long as their names take less than half of the room.

    Args:
        metadata: The Pod's metadata, as it is.
        most: How many bytes it has at most as JSON, in which no text is shorter than alone.
    """
    if metadata is None or metadata.annotations is UNSET:
        return RecordPlace.NOWHERE
    annotations = metadata.annotations
    if annotations is None:
        return RecordPlace.ALONE
    if ORIGINAL_IMAGES in annotations:
        return RecordPlace.MINDFUL
    if most <= MAX_ROOMY:
        return RecordPlace.BESIDE
    texts = [*annotations, *filter(None, annotations.values())]
    characters = sum(map(len, texts))
    is_roomy = characters < MAX_ROOMY_CHARACTERS or (
        characters < MAX_ROOMY and all(map(str.isascii, texts))
    )
    return RecordPlace.BESIDE if is_roomy else RecordPlace.MINDFUL


def record_operation(
    metadata: ObjectMeta | None, placements: Iterable[Placement]
) -> Operation | None:
    """Return the operation that writes down the images as they were.

    What an earlier round wrote down stays, save for the images rewritten now.

    Args:
        metadata: The Pod's metadata, as it is.
        placements: The decisions; images that stay are not written down.

    Returns:
        None if there is nothing to write down, or no room for it within what
        Kubernetes allows for annotations.
    """
    originals = {
        slot.name: slot.image
        for slot, decision in placements
        if decision.candidate is not None and slot.name
    }
    if not originals or metadata is None or metadata.annotations is UNSET:
        return None
    annotations = metadata.annotations or {}
    before = recorded(annotations.get(ORIGINAL_IMAGES))
    value = _encode({**before, **originals}).decode()
    if len(value) > MAX_ROOMY_CHARACTERS or record_place(metadata) is RecordPlace.MINDFUL:
        others = sum(
            size(key) + size(text or "")
            for key, text in annotations.items()
            if key != ORIGINAL_IMAGES
        )
        if others + len(ORIGINAL_IMAGES) + size(value) > MAX_ANNOTATIONS:
            return None
    if metadata.annotations is None:
        return Operation("add", "/metadata/annotations", {ORIGINAL_IMAGES: value})
    return Operation("add", f"/metadata/annotations/{escaped(ORIGINAL_IMAGES)}", value)


def recorded(annotation: str | None) -> dict[str, str]:
    """Read what an earlier round wrote down; anything else there counts as nothing."""
    if not annotation:
        return {}
    try:
        value = json.loads(annotation)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {name: image for name, image in value.items() if isinstance(image, str)}


def size(text: str) -> int:
    """Return how many bytes *text* takes."""
    return len(text) if text.isascii() else len(text.encode())

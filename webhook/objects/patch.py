"""JSON Patch (RFC 6902): the few operations that change a Pod's images, and no others.

Only ``replace`` of image strings that are there, and ``add`` of our own annotation and
of the Secrets that a mirror needs.
An operation that does not apply would make the API server reject the Pod even
under failurePolicy Ignore, so there is no ``test``, and no pointer that is not
in the object.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, TypeGuard

import msgspec
from msgspec import UNSET, Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from webhook.objects.pod import ObjectMeta, PodSpec
    from webhook.objects.rewrite import Placement

__all__ = [
    "ORIGINAL_IMAGES",
    "Operation",
    "has_room_for_record",
    "image_operations",
    "record_operation",
    "secret_operations",
]

ORIGINAL_IMAGES: Final = "mirrorhook.io/original-images"

# apimachinery: the keys and values of all annotations of an object together.
MAX_ANNOTATIONS: Final = 256 * 1024

_encode = msgspec.json.Encoder().encode


class Operation(Struct, frozen=True, gc=False):
    """One operation of a patch."""

    op: Literal["add", "replace"]
    path: str
    value: Any


def image_operations(placements: Iterable[Placement]) -> list[Operation]:
    """Return the operations that put the chosen images in place."""
    return [
        Operation("replace", slot.pointer, str(decision.candidate))
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


def has_room_for_record(metadata: ObjectMeta | None) -> TypeGuard[ObjectMeta]:
    """Return whether `record_operation` depends on nothing but the images.

    The Pod has no record yet, and half of what annotations may take is free.
    """
    if metadata is None or metadata.annotations is UNSET:
        return False
    annotations = metadata.annotations or {}
    return ORIGINAL_IMAGES not in annotations and _count_bytes(annotations) <= MAX_ANNOTATIONS // 2


def record_operation(
    metadata: ObjectMeta | None, placements: Iterable[Placement]
) -> list[Operation]:
    """Return the operation that writes the original images into an annotation.

    Images that an earlier review recorded stay recorded, except those rewritten now.

    Args:
        metadata: The Pod's metadata.
        placements: The decisions; images that stay are not recorded.

    Returns:
        Nothing if there is nothing to record, or no room for it within what
        Kubernetes allows for annotations.
    """
    originals = {
        slot.name: slot.image
        for slot, decision in placements
        if decision.candidate is not None and slot.name
    }
    if not originals or metadata is None or metadata.annotations is UNSET:
        return []
    annotations = dict(metadata.annotations or {})
    before = _read_record(annotations.pop(ORIGINAL_IMAGES, None))
    value = _encode({**before, **originals}).decode()
    if _count_bytes({**annotations, ORIGINAL_IMAGES: value}) > MAX_ANNOTATIONS:
        return []
    if metadata.annotations is None:
        return [Operation("add", "/metadata/annotations", {ORIGINAL_IMAGES: value})]
    return [Operation("add", f"/metadata/annotations/{_escape(ORIGINAL_IMAGES)}", value)]


def _read_record(annotation: str | None) -> dict[str, str]:
    """Return the images that an earlier review recorded; anything else there is ignored."""
    try:
        value = json.loads(annotation or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {name: image for name, image in value.items() if isinstance(image, str)}


def _count_bytes(annotations: Mapping[str, str | None]) -> int:
    """Return the size of annotations, as Kubernetes counts it."""
    return len("".join([*annotations, *filter(None, annotations.values())]).encode())


def _escape(token: str) -> str:
    """Return *token* as one part of an RFC 6901 pointer."""
    return token.replace("~", "~0").replace("/", "~1")

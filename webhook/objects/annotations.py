"""The labels and annotations of mirrorhook: opting a Pod out, and recording its original images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeGuard

import msgspec
from msgspec import UNSET

from webhook.objects.patch import Operation, escape_pointer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from webhook.objects.images import ImageDecision
    from webhook.objects.pod import ObjectMeta

__all__ = [
    "MIRROR_POD",
    "OPT_OUT",
    "ORIGINAL_IMAGES",
    "has_room_for_originals",
    "opt_out_reason",
    "parse_originals",
    "record_originals",
]

OPT_OUT: Final = "mirrorhook.io/rewrite"
ORIGINAL_IMAGES: Final = "mirrorhook.io/original-images"
# Set by the kubelet on the API's copy of a static Pod (k8s.io/api/core/v1).
MIRROR_POD: Final = "kubernetes.io/config.mirror"

DISABLED: Final = "disabled"
# The limit for keys and values of all annotations of an object together
# (k8s.io/apimachinery, api/validation/objectmeta.go).
MAX_ANNOTATIONS: Final = 256 * 1024

_encode = msgspec.json.Encoder().encode


def opt_out_reason(metadata: ObjectMeta | None) -> str:
    """Return why a Pod is never rewritten, whatever the rules say; empty if it may be.

    Args:
        metadata: The metadata of the Pod, or of the template that it is created from.
    """
    if metadata is None:
        return ""
    annotations = metadata.annotations
    if annotations and MIRROR_POD in annotations:
        return "it is a mirror Pod"
    if annotations and annotations.get(OPT_OUT) == DISABLED:
        return f"its annotation {OPT_OUT} is {DISABLED}"
    if metadata.labels and metadata.labels.get(OPT_OUT) == DISABLED:
        return f"its label {OPT_OUT} is {DISABLED}"
    return ""


def record_originals(
    metadata: ObjectMeta | None, images: Iterable[ImageDecision]
) -> list[Operation]:
    """Return the operation that records the original images in an annotation.

    Images that an earlier review recorded stay recorded, except those rewritten now.

    Returns:
        Nothing if no image with a name is rewritten, or if there is no room for the
        record within what Kubernetes allows for annotations.
    """
    originals = {
        field.name: field.image
        for field, decision in images
        if decision.candidate is not None and field.name
    }
    if not originals or metadata is None or metadata.annotations is UNSET:
        return []
    annotations = dict(metadata.annotations or {})
    before = parse_originals(annotations.pop(ORIGINAL_IMAGES, None))
    value = _encode({**before, **originals}).decode()
    if _count_bytes({**annotations, ORIGINAL_IMAGES: value}) > MAX_ANNOTATIONS:
        return []
    if metadata.annotations is None:
        return [Operation("add", "/metadata/annotations", {ORIGINAL_IMAGES: value})]
    path = f"/metadata/annotations/{escape_pointer(ORIGINAL_IMAGES)}"
    return [Operation("add", path, value)]


def has_room_for_originals(metadata: ObjectMeta | None) -> TypeGuard[ObjectMeta]:
    """Return whether a record of usual size fits, and does not depend on an earlier one.

    If so, `record_originals` returns the same for all Pods with the same images that have
    annotations, and the same for all that have none.
    """
    if metadata is None or metadata.annotations is UNSET:
        return False
    annotations = metadata.annotations or {}
    return ORIGINAL_IMAGES not in annotations and _count_bytes(annotations) <= MAX_ANNOTATIONS // 2


def parse_originals(annotation: str | None) -> dict[str, str]:
    """Return the original images in an annotation, by container; anything else is ignored."""
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

"""The labels and annotations of mirrorhook: opting a Pod out, and recording its original images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeGuard

import msgspec
from msgspec import UNSET

from webhook.objects.images import find_images
from webhook.objects.patch import Operation, escape_pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from webhook.core import Decision
    from webhook.objects.images import ImageDecision
    from webhook.objects.pod import ObjectMeta, Pod

__all__ = [
    "MIRROR_POD",
    "OPT_OUT",
    "ORIGINAL_IMAGES",
    "find_stale_originals",
    "has_room_for_originals",
    "has_same_ending",
    "is_original",
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
# Names in a record that are looked up; all others are stale. Real Pods have fewer images, and each
# look-up takes up to 0.2 ms, in which no other review is answered.
MAX_ORIGINALS: Final = 100

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
    metadata: ObjectMeta | None, images: Iterable[ImageDecision], stale: Collection[str] = ()
) -> list[Operation]:
    """Return the operation that records the original images in an annotation.

    Images that an earlier review recorded stay recorded, except those rewritten now.

    Args:
        metadata: The metadata of the Pod.
        images: The images that a request brings in, each with its decision.
        stale: Names to remove from the record, as `find_stale_originals` returns them.

    Returns:
        Nothing if the record is right already, or if there is no room for a new one
        within what Kubernetes allows for annotations.
    """
    if metadata is None or metadata.annotations is UNSET:
        return []
    rewritten = {
        field.name: field.image
        for field, decision in images
        if decision.candidate is not None and field.name
    }
    if not rewritten and not stale:
        return []
    annotations = dict(metadata.annotations or {})
    before = parse_originals(annotations.pop(ORIGINAL_IMAGES, None))
    kept = {name: image for name, image in before.items() if name not in stale}
    after = kept | rewritten
    value = _encode(after).decode()
    if _count_bytes({**annotations, ORIGINAL_IMAGES: value}) > MAX_ANNOTATIONS:
        after, value = kept, _encode(kept).decode()
    path = f"/metadata/annotations/{escape_pointer(ORIGINAL_IMAGES)}"
    if after == before:
        return []
    if not after:
        return [Operation("remove", path)]
    if metadata.annotations is None:
        return [Operation("add", "/metadata/annotations", {ORIGINAL_IMAGES: value})]
    return [Operation("add", path, value)]


def find_stale_originals(
    pod: Pod, images: Iterable[ImageDecision], decide: Callable[[str], Decision]
) -> frozenset[str]:
    """Return the names in the record of a Pod that are not originals of its present images.

    Args:
        pod: The Pod.
        images: The images that a request brings in, each with its decision.
        decide: Decides on one image, as `MirrorMap.decide` does.
    """
    annotations = pod.metadata and pod.metadata.annotations
    if not annotations or ORIGINAL_IMAGES not in annotations:
        return frozenset()
    record = parse_originals(annotations[ORIGINAL_IMAGES])
    present = {field.name: field.image for field in (find_images(pod.spec) if pod.spec else ())}
    present |= {field.name: decision.image for field, decision in images}
    known = [name for name in record if name in present][:MAX_ORIGINALS]
    current = {name for name in known if is_original(record[name], present[name], decide)}
    return frozenset(record.keys() - current)


def is_original(original: str, image: str, decide: Callable[[str], Decision]) -> bool:
    """Return whether the rules make *image* of *original*.

    If they make nothing of it, those of another policy may have done so. Nearly every rule
    keeps the last part of the name with the tag and the digest.
    """
    candidates = decide(original).candidates
    if candidates:
        return any(candidate.image == image for candidate in candidates)
    return image != original and has_same_ending(original, image)


def has_same_ending(original: str, image: str) -> bool:
    """Return whether an image has the last part of the name of *original*, its tag and digest."""
    return image.endswith(f"/{original.rpartition('/')[2]}")


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
    if annotation is None:
        return {}
    try:
        value = json.loads(annotation)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {name: image for name, image in value.items() if isinstance(image, str)}


def _count_bytes(annotations: Mapping[str, str | None]) -> int:
    """Return the size of annotations, as Kubernetes counts it."""
    return len("".join([*annotations, *filter(None, annotations.values())]).encode())

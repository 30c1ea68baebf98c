"""JSON Patch (RFC 6902): the few operations that change a Pod's images.

An operation that does not apply makes the API server reject the Pod, even under
failurePolicy Ignore. So there is only ``replace`` of image strings that exist, and ``add``
of the annotation of `webhook.objects.annotations` and of the pull secrets that a mirror
needs: no ``test``, and no pointer to what is not in the object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET, Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.objects.images import ImageDecision
    from webhook.objects.pod import PodSpec

__all__ = ["Operation", "add_pull_secrets", "escape_pointer", "replace_images"]


class Operation(Struct, frozen=True, gc=False):
    """One operation of a patch."""

    op: Literal["add", "replace"]
    path: str
    value: Any


def replace_images(images: Iterable[ImageDecision]) -> list[Operation]:
    """Return the operations that put the chosen images in place."""
    return [
        Operation("replace", field.pointer, str(decision.candidate))
        for field, decision in images
        if decision.candidate is not None
    ]


def add_pull_secrets(spec: PodSpec | None, images: Iterable[ImageDecision]) -> list[Operation]:
    """Return the operations that append the pull secrets which the chosen mirrors need.

    Pull secrets of the Pod stay where they are, and none is added twice.
    """
    needed = {
        name: None
        for _, decision in images
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


def escape_pointer(token: str) -> str:
    """Return a key as one part of an RFC 6901 pointer."""
    return token.replace("~", "~0").replace("/", "~1")

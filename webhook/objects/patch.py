"""JSON Patch (RFC 6902): the few operations that change a Pod's images.

An operation that does not apply makes the API server reject the Pod, even under
failurePolicy Ignore. So there is only ``replace`` of image strings that exist, ``add`` and
``remove`` of the annotation of `webhook.objects.annotations`, and ``add`` of the pull secrets
that a mirror needs: no ``test``, and no pointer to what is not in the object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET, Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.objects.images import ImageDecision
    from webhook.objects.pod import PodSpec

__all__ = [
    "Operation",
    "add_pull_secrets",
    "escape_pointer",
    "explain_missing_secrets",
    "replace_images",
]


class Operation(Struct, frozen=True, gc=False):
    """One operation of a patch; ``remove`` has no value."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any = UNSET


def replace_images(images: Iterable[ImageDecision]) -> list[Operation]:
    """Return the operations that put the chosen images in place."""
    return [
        Operation("replace", field.pointer, decision.candidate.image)
        for field, decision in images
        if decision.candidate is not None
    ]


def add_pull_secrets(spec: PodSpec | None, images: Iterable[ImageDecision]) -> list[Operation]:
    """Return the operations that append the pull secrets which the chosen mirrors need.

    Pull secrets of the Pod stay where they are, and none is added twice.
    """
    if spec is None:
        return []
    added = [{"name": name} for name in _find_missing_secrets(spec, images)]
    if added and spec.image_pull_secrets is None:
        return [Operation("add", "/spec/imagePullSecrets", added)]
    return [Operation("add", "/spec/imagePullSecrets/-", secret) for secret in added]


def explain_missing_secrets(spec: PodSpec, images: Iterable[ImageDecision]) -> str:
    """Return why an existing Pod may fail to pull the chosen images; empty if it may not."""
    missing = ", ".join(_find_missing_secrets(spec, images))
    return missing and (
        f"the Pod lacks the pull secret {missing}, which cannot be added to an existing Pod: "
        "add it to its template or service account, and recreate the Pod"
    )


def escape_pointer(token: str) -> str:
    """Return a key as one part of an RFC 6901 pointer."""
    return token.replace("~", "~0").replace("/", "~1")


def _find_missing_secrets(spec: PodSpec, images: Iterable[ImageDecision]) -> list[str]:
    """Return the pull secrets that the chosen mirrors need and the Pod does not have."""
    if spec.image_pull_secrets is UNSET:
        return []
    needed = {
        name: None
        for _, decision in images
        if decision.candidate is not None
        for name in decision.candidate.mirror.pull_secrets
    }
    known = {secret.name for secret in spec.image_pull_secrets or ()}
    return [name for name in needed if name not in known]

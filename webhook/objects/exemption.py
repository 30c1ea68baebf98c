"""Pods whose images are left alone whatever the rules say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from webhook.objects.pod import ObjectMeta

__all__ = ["MIRROR_POD", "OPT_OUT", "exempt"]

# Set by the kubelet on the API's copy of a static Pod (k8s.io/api/core/v1).
MIRROR_POD: Final = "kubernetes.io/config.mirror"
OPT_OUT: Final = "mirrorhook.io/rewrite"
DISABLED: Final = "disabled"


def exempt(metadata: ObjectMeta | None) -> str:
    """Say why a Pod is left alone; empty if it is not.

    Args:
        metadata: What is written on the Pod, or on the template that it is made from.
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

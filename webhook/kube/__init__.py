"""Access to a cluster: `Cluster` for the running webhook, `KubeClient` for commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhook.kube.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from webhook.kube.objects import Endpoint, Secret, WebhookConfiguration, WebhookSelection
from webhook.kube.selectors import (
    describe_requirements,
    find_mismatch,
    find_mismatches,
    make_labels,
)

if TYPE_CHECKING:
    from pathlib import Path

    from webhook.kube.client import KubeClient
    from webhook.kube.cluster import Cluster

__all__ = [
    "ClusterError",
    "ConflictError",
    "Endpoint",
    "ForbiddenError",
    "NotFoundError",
    "RefusedError",
    "Secret",
    "UnavailableError",
    "WebhookConfiguration",
    "WebhookSelection",
    "connect",
    "describe_requirements",
    "find_mismatch",
    "find_mismatches",
    "make_labels",
    "open_client",
]


def connect(kubeconfig: Path | None = None) -> Cluster:
    """Return the cluster, as `open_client` finds it."""
    client = open_client(kubeconfig)
    from webhook.kube.cluster import Cluster  # noqa: PLC0415 - as below

    return Cluster(client)


def open_client(kubeconfig: Path | None = None, context: str | None = None) -> KubeClient:
    """Return a client of the API server; no request is sent yet.

    Args:
        kubeconfig: File with the address of the cluster; None in a Pod of that cluster.
        context: Context of that file; None for its current one.

    Raises:
        ClusterError: The address is unknown, or the kubernetes package is missing.
    """
    try:
        # 0.2 s and 46 MB, and an optional dependency.
        from webhook.kube.client import KubeClient  # noqa: PLC0415
    except ImportError as error:
        raise ClusterError(
            f"access to a cluster needs the kubernetes package ({error}): "
            "install mirrorhook[cluster]"
        ) from None
    return KubeClient.load(kubeconfig, context)

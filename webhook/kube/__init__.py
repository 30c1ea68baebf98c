"""
The cluster that we run in: one Secret, and one MutatingWebhookConfiguration.

The `kubernetes` package is imported by `connect`, and not before.
"""

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
from webhook.kube.objects import Registration, Secret

if TYPE_CHECKING:
    from pathlib import Path

    from webhook.kube.cluster import Cluster

__all__ = [
    "ClusterError",
    "ConflictError",
    "ForbiddenError",
    "NotFoundError",
    "RefusedError",
    "Registration",
    "Secret",
    "UnavailableError",
    "connect",
]


def connect(kubeconfig: Path | None = None) -> Cluster:
    """
    Return the cluster; no request is sent yet.

    Args:
        kubeconfig: File that says where it is; None in a Pod of that cluster.

    Raises:
        ClusterError: It cannot be told where it is, or the package is missing.
    """
    try:
        from webhook.kube.cluster import Cluster  # noqa: PLC0415 - see above
        from webhook.kube.connection import Connection  # noqa: PLC0415
    except ImportError as error:
        raise ClusterError(
            f"no cluster can be reached without the kubernetes package ({error}): "
            "install mirrorhook[cluster]"
        ) from None
    return Cluster(Connection.open(kubeconfig))

"""The cluster that we run in, as far as we need it.

That is one Secret, one MutatingWebhookConfiguration, and the Pods behind a Service. The
`kubernetes` package is imported by `connect` and its like, and not before.
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
from webhook.kube.objects import Endpoint, Registration, Secret

if TYPE_CHECKING:
    from pathlib import Path

    from webhook.kube.cluster import Cluster
    from webhook.kube.connection import Connection
    from webhook.kube.endpoints import Endpoints
    from webhook.kube.reading import Reader

__all__ = [
    "ClusterError",
    "ConflictError",
    "Endpoint",
    "ForbiddenError",
    "NotFoundError",
    "RefusedError",
    "Registration",
    "Secret",
    "UnavailableError",
    "connect",
    "open_endpoints",
    "open_reader",
]


def connect(kubeconfig: Path | None = None) -> Cluster:
    """Return the cluster; no request is sent yet.

    Args:
        kubeconfig: File that says where it is; None in a Pod of that cluster.

    Raises:
        ClusterError: It cannot be told where it is, or the package is missing.
    """
    connection = opened(kubeconfig)
    from webhook.kube.cluster import Cluster  # noqa: PLC0415 - see above

    return Cluster(connection)


def open_endpoints(kubeconfig: Path | None = None) -> Endpoints:
    """Return the cluster for who asks which Pods a Service has; no request is sent yet.

    Args:
        kubeconfig: File that says where it is; None in a Pod of that cluster.

    Raises:
        ClusterError: It cannot be told where it is, or the package is missing.
    """
    connection = opened(kubeconfig)
    from webhook.kube.endpoints import Endpoints  # noqa: PLC0415 - see above

    return Endpoints(connection)


def open_reader(kubeconfig: Path | None = None) -> Reader:
    """Return the cluster for somebody who reads; no request is sent yet.

    Args:
        kubeconfig: File that says where it is; without it that of the environment, or
            the service account of the Pod that we are in.

    Raises:
        ClusterError: It cannot be told where it is, or the package is missing.
    """
    connection = opened(kubeconfig)
    from webhook.kube.reading import Reader  # noqa: PLC0415 - see above

    return Reader(connection)


def opened(kubeconfig: Path | None) -> Connection:
    """Return the way to a cluster.

    Raises:
        ClusterError: It cannot be told where it is, or the package is missing.
    """
    try:
        from webhook.kube.connection import Connection  # noqa: PLC0415 - see above
    except ImportError as error:
        raise ClusterError(
            f"no cluster can be reached without the kubernetes package ({error}): "
            "install mirrorhook[cluster]"
        ) from None
    return Connection.open(kubeconfig)

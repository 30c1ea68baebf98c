"""Where the other replicas are: the Pods behind the Service that the API server calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.kube import ClusterError, open_endpoints

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.kube import Endpoint
    from webhook.kube.endpoints import Endpoints
    from webhook.tls import Place

__all__ = ["WITHOUT", "ServiceEndpoints"]

PORT: Final = "operations"
WITHOUT: Final = (
    "where certificates are not kept by the webhook itself, it may not ask the API server "
    "where the others are. Look at each of them: kubectl port-forward pod/NAME 8080"
)


class ServiceEndpoints:
    """Finds the replicas; the cluster is not asked, nor even connected to, before that.

    Args:
        place: The Service; None where there is no way to the API server.
        connect: Opens the way to the cluster.
    """

    def __init__(
        self, place: Place | None, connect: Callable[[], Endpoints] = open_endpoints
    ) -> None:
        self._place = place
        self._connect = connect
        self._endpoints: Endpoints | None = None

    async def __call__(self) -> list[Endpoint]:
        """Return where they are, this replica among them.

        Raises:
            ClusterError: It cannot be told.
        """
        if self._place is None:
            raise ClusterError(WITHOUT)
        if self._endpoints is None:
            self._endpoints = self._connect()
        namespace, service = self._place.service_namespace, self._place.service_name
        return await self._endpoints.of(namespace, service, PORT)

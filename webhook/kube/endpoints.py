"""Which Pods stand behind a Service, ready or not.

The one verb is ``list`` on EndpointSlices of one namespace: their names end at random, so
that no permission can name them, and they hold addresses and names of Pods alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webhook.kube.errors import UnavailableError
from webhook.kube.objects import Endpoint
from webhook.kube.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from webhook.kube.connection import Connection

__all__ = ["Endpoints"]

CALL_SECONDS: Final = 1.0


class Endpoints:
    """The Pods behind Services, by an API server.

    Args:
        connection: The way to it.
        limit: Seconds that a call may take in all.
    """

    def __init__(self, connection: Connection, *, limit: float = CALL_SECONDS) -> None:
        self._connection = connection
        self._limit = limit

    async def of(self, namespace: str, service: str, port: str) -> list[Endpoint]:
        """Return the Pods that have an address, each once.

        Args:
            namespace: Namespace of the Service.
            service: Name of the Service.
            port: Name of the port to reach them at.

        Raises:
            ClusterError: They cannot be listed.
        """
        action = f"list EndpointSlices of Service {namespace}/{service}"
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        query = {"labelSelector": f"kubernetes.io/service-name={service}"}
        try:
            answer = await in_thread(
                lambda: self._connection.call(action, "GET", path, query=query),
                limit=self._limit,
            )
        except TimeoutError:
            raise UnavailableError(
                f"cannot {action}: no whole answer within {self._limit:g} seconds"
            ) from None
        return endpoints_in(answer.get("items") or (), port)


def endpoints_in(slices: Iterable[Mapping[str, Any]], port: str) -> list[Endpoint]:
    """Return the Pods in EndpointSlices; one with addresses of both families comes once.

    Args:
        slices: EndpointSlices, from their JSON.
        port: Name of the port to reach the Pods at; slices without it are left out.
    """
    found: dict[str, Endpoint] = {}
    for each in slices:
        ports = {known.get("name"): known.get("port") for known in each.get("ports") or ()}
        number = ports.get(port)
        if not number:
            continue
        for endpoint in each.get("endpoints") or ():
            address = endpoint["addresses"][0]
            pod = (endpoint.get("targetRef") or {}).get("name", "")
            found.setdefault(pod or address, Endpoint(pod, address, number))
    return list(found.values())

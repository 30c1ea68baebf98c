"""What somebody who looks for a fault reads in a cluster, and the one thing that is tried."""

from __future__ import annotations

import ssl
import time
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from kubernetes.client import ApiClient, CoreV1Api
from kubernetes.stream import portforward

from webhook.kube.connection import described
from webhook.kube.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webhook.kube.connection import Connection

__all__ = ["Reader"]

CALL_SECONDS: Final = 10.0


class Reader:
    """A cluster, for somebody who reads.

    Args:
        connection: The way to its API server.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def address(self) -> str:
        """Where the API server is."""
        return self._connection.host

    def get(self, path: str) -> dict[str, Any] | None:
        """Return an object, or None where there is none.

        Args:
            path: Its path at the API server.

        Raises:
            ClusterError: It cannot be read.
        """
        try:
            return self._connection.call(f"get {path}", "GET", path)
        except NotFoundError:
            return None

    def list(self, path: str, selector: str = "") -> list[dict[str, Any]]:
        """Return the objects of a collection.

        Args:
            path: Its path at the API server.
            selector: Label selector.

        Raises:
            ClusterError: They cannot be read.
        """
        query = {"labelSelector": selector} if selector else None
        try:
            found = self._connection.call(f"list {path}", "GET", path, query=query)
        except NotFoundError:
            return []
        items = found.get("items")
        return items if isinstance(items, list) else []

    def skew(self) -> float:
        """Return by how many seconds our clock is ahead of that of the API server.

        Raises:
            ClusterError: It cannot be asked.
        """
        response = self._connection.send("ask for the version", "GET", "/version")
        date = parsedate_to_datetime(response.headers["Date"])
        response.drain_conn()
        return time.time() - date.timestamp()

    def page(self, namespace: str, pod: str, port: int, path: str) -> tuple[int, str]:
        """Return the status and the text of a page that a Pod serves in plain HTTP.

        Args:
            namespace: The Pod's namespace.
            pod: Its name.
            port: Its port.
            path: Path of the page, with its slash.

        Raises:
            ClusterError: The API server does not lead there.
        """
        return self._connection.text(
            f"read {path} of Pod {namespace}/{pod}",
            f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}",
        )

    def try_pod(self, namespace: str, pod: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Pod in a dry run, and return what would be stored.

        Raises:
            ClusterError: It would be refused, or cannot be tried.
        """
        return self._connection.call(
            f"try a Pod in namespace {namespace}",
            "POST",
            f"/api/v1/namespaces/{quote(namespace)}/pods",
            query={"dryRun": "All"},
            body=pod,
        )

    def certificate(
        self, namespace: str, pod: str, port: int, name: str, authority: bytes
    ) -> bytes:
        """Return what a Pod serves with, in PEM, if *authority* vouches for it.

        Args:
            namespace: The Pod's namespace.
            pod: Its name.
            port: Its port.
            name: Host name that the certificate has to be for.
            authority: Trusted certificates, in PEM.

        Raises:
            ClusterError: There is no way to it.
            ssl.SSLError: It is not to be trusted; or *authority* is no certificate.
        """
        context = ssl.create_default_context(cadata=authority.decode("ascii", "replace"))
        api = CoreV1Api(ApiClient(self._connection.configuration))
        try:
            forward = portforward(
                api.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port)
            )
            plain = forward.socket(port)
            plain.settimeout(CALL_SECONDS)
        except Exception as error:  # noqa: BLE001 - the package raises what it likes here
            action = f"reach port {port} of Pod {namespace}/{pod}"
            raise UnavailableError(f"cannot {action}: {described(error)}") from None
        with closing(forward), context.wrap_socket(plain, server_hostname=name) as secure:
            return ssl.DER_cert_to_PEM_cert(secure.getpeercert(True) or b"").encode()

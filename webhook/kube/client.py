"""Blocking requests to the API server.

The `kubernetes` package loads the configuration (service account or kubeconfig) and owns
the connections. Objects stay JSON: its models drop the fields that they don't know yet, and
take half a second and 25 MiB to import.
"""

from __future__ import annotations

import json
import ssl
import time
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import urllib3
from kubernetes import config
from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject
from urllib3.exceptions import HTTPError

from webhook import __version__
from webhook.kube.errors import (
    ClusterError,
    NotFoundError,
    UnavailableError,
    create_error,
    describe_network_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["KubeClient"]

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
# As in kubectl: listing a large cluster begins soon, and takes little memory.
PAGE_SIZE: Final = 500
# RFC 7396 keeps the fields that a patch does not name; the strategic form of Kubernetes
# also merges lists of webhooks by name.
STRATEGIC_MERGE: Final = "application/strategic-merge-patch+json"
CONTENT_TYPES: Final = {"POST": "application/json", "PATCH": STRATEGIC_MERGE}


class KubeClient:
    """A client of one API server; its methods block, and raise `ClusterError` if they fail.

    Args:
        configuration: The address of the API server, and the credentials to use.

    Attributes:
        host: URL of the API server.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._pool = RESTClientObject(configuration).pool_manager
        self.host = str(configuration.host)

    @classmethod
    def load(cls, kubeconfig: Path | None = None, context: str | None = None) -> KubeClient:
        """Return a client; no request is sent yet.

        Args:
            kubeconfig: File with the address of the cluster; None in a Pod, which has a
                service account.
            context: Context of that file; None for its current one.

        Raises:
            ClusterError: There is no service account, or the file is wrong.
        """
        configuration = Configuration()
        source = str(kubeconfig or "this Pod's service account")
        try:
            if kubeconfig is None:
                config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            else:
                config.load_kube_config(source, context, configuration)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - a kubeconfig can be wrong in any way
            raise ClusterError(
                f"cannot find the address of the API server in {source}: {error}"
            ) from None
        return cls(configuration)

    def send(
        self,
        action: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        read_timeout: float = READ_SECONDS,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, and return the successful response when its head is there.

        Args:
            action: What the request does, as it follows "cannot" in messages.
            method: HTTP method.
            path: Path of the resource.
            query: Query parameters.
            body: JSON to send.
            read_timeout: Seconds without a byte after which the connection is given up.
        """
        if query:
            path += f"?{urlencode(query)}"
        content = None if body is None else json.dumps(body)
        response = self._request(action, method, path, content, read_timeout)
        if response.status in range(200, 300):
            return response
        raise create_error(action, response.status, _find_message(_read(action, response)))

    def call(
        self,
        action: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a request as `send` does, and return the JSON object of the response."""
        content = _parse(_read(action, self.send(action, method, path, query=query, body=body)))
        if not isinstance(content, dict):
            raise UnavailableError(f"cannot {action}: the response is not a JSON object")
        return content

    def get(self, path: str) -> dict[str, Any] | None:
        """Return the object at a path, or None if it does not exist."""
        try:
            return self.call(f"get {path}", "GET", path)
        except NotFoundError:
            return None

    def list(self, path: str, selector: str = "") -> list[dict[str, Any]]:
        """Return the objects of a collection; none if the API server does not know it.

        Args:
            path: Path of the collection.
            selector: Label selector.
        """
        query = {"labelSelector": selector} if selector else None
        try:
            items = self.call(f"list {path}", "GET", path, query=query).get("items")
        except NotFoundError:
            return []
        return items if isinstance(items, list) else []

    def iterate(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the objects of a collection of any size, which is read page by page.

        See `Retrieving large results sets in chunks`_.

        Args:
            path: Path of the collection.

        Raises:
            NotFoundError: The API server does not know the collection.

        .. _Retrieving large results sets in chunks:
           https://kubernetes.io/docs/reference/using-api/api-concepts/
        """
        query = {"limit": str(PAGE_SIZE)}
        while True:
            page = self.call(f"list {path}", "GET", path, query=query)
            items, metadata = page.get("items"), page.get("metadata")
            if isinstance(items, list):
                yield from (item for item in items if isinstance(item, dict))
            token = metadata.get("continue") if isinstance(metadata, dict) else None
            if not token:
                return
            query["continue"] = str(token)

    def measure_clock_skew(self) -> float:
        """Return by how many seconds the local clock is ahead of that of the API server."""
        response = self.send("get /version", "GET", "/version")
        date = parsedate_to_datetime(response.headers["Date"])
        response.drain_conn()
        return time.time() - date.timestamp()

    def get_pod_page(self, namespace: str, pod: str, port: int, path: str) -> tuple[int, str]:
        """Return status and text of a page that a Pod serves over plain HTTP.

        Args:
            namespace: Namespace of the Pod.
            pod: Name of the Pod.
            port: Its port.
            path: Path of the page, with its slash.
        """
        action = f"read {path} of Pod {namespace}/{pod}"
        proxied = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}"
        response = self._request(action, "GET", proxied, accept="*/*")
        return response.status, _read(action, response).decode("utf-8", "replace")

    def dry_run_pod(self, namespace: str, pod: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Pod in a dry run, and return what would be stored."""
        return self.call(
            f"create a Pod in namespace {namespace} (dry run)",
            "POST",
            f"/api/v1/namespaces/{quote(namespace)}/pods",
            query={"dryRun": "All"},
            body=pod,
        )

    def get_pod_certificate(
        self, namespace: str, pod: str, port: int, host: str, ca_bundle: bytes
    ) -> bytes:
        """Return the certificate that a Pod serves with, in PEM, after verifying it.

        Args:
            namespace: Namespace of the Pod.
            pod: Name of the Pod.
            port: Its port.
            host: Host name that the certificate has to be for.
            ca_bundle: Trusted certificates, in PEM.

        Raises:
            ssl.SSLError: The certificate is not trusted, or *ca_bundle* is no certificate.
        """
        # These import all models: half a second and 25 MiB, which the webhook does not need.
        from kubernetes.client import ApiClient, CoreV1Api  # noqa: PLC0415
        from kubernetes.stream import portforward  # noqa: PLC0415

        context = ssl.create_default_context(cadata=ca_bundle.decode("ascii", "replace"))
        api = CoreV1Api(ApiClient(self._configuration))
        try:
            forward = portforward(
                api.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port)
            )
            plain = forward.socket(port)
            plain.settimeout(READ_SECONDS)
        except Exception as error:  # noqa: BLE001 - the package raises many kinds here
            action = f"reach port {port} of Pod {namespace}/{pod}"
            raise UnavailableError(f"cannot {action}: {describe_network_error(error)}") from None
        with closing(forward), context.wrap_socket(plain, server_hostname=host) as secure:
            return ssl.DER_cert_to_PEM_cert(secure.getpeercert(True) or b"").encode()

    def _request(
        self,
        action: str,
        method: str,
        path: str,
        body: str | None = None,
        read_timeout: float = READ_SECONDS,
        accept: str = "application/json",
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": accept, "User-Agent": f"mirrorhook/{__version__}"}
        if method in CONTENT_TYPES:
            headers["Content-Type"] = CONTENT_TYPES[method]
        try:
            # The package reads the token file again as the token ages.
            token = self._configuration.auth_settings().get("BearerToken")
            if token is not None and token["value"]:
                headers["Authorization"] = token["value"]
            return self._pool.request(
                method,
                self.host + path,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (HTTPError, OSError, config.ConfigException) as error:
            raise UnavailableError(f"cannot {action}: {describe_network_error(error)}") from None


def _read(action: str, response: urllib3.BaseHTTPResponse) -> bytes:
    try:
        return response.data
    except (HTTPError, OSError) as error:
        raise UnavailableError(f"cannot {action}: {describe_network_error(error)}") from None


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _find_message(body: bytes) -> str:
    """Return the message of the Status that an unsuccessful response holds."""
    status = _parse(body)
    message = status.get("message") if isinstance(status, dict) else None
    return str(message) if message else "the API server gives no reason"

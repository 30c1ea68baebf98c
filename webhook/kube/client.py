"""Blocking requests to the API server.

The `kubernetes` package loads the configuration (service account or kubeconfig) and owns
the connections. Objects stay JSON: its models drop the fields that they don't know yet, and
take half a second and 25 MiB to import.
"""

from __future__ import annotations

import json
import ssl
import time
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
    ExpiredError,
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
BINARY: Final = 2  # a websocket frame with data (RFC 6455, 5.2)
JSON: Final = "application/json"
CONTENT_TYPES: Final = {"POST": JSON, "PUT": JSON, "PATCH": STRATEGIC_MERGE}


class KubeClient:
    """A client of one API server; its methods block, and raise `ClusterError` if they fail.

    Args:
        configuration: The address of the API server, and the credentials to use.
        namespace: The namespace of what is named without one.

    Attributes:
        host: URL of the API server.
        namespace: As above.
    """

    def __init__(self, configuration: Configuration, namespace: str = "default") -> None:
        self._configuration = configuration
        self.namespace = namespace
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
        namespace = ""
        source = str(kubeconfig or "this Pod's service account")
        try:
            if kubeconfig is None:
                config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            else:
                config.load_kube_config(source, context, configuration)  # type: ignore[no-untyped-call]
                namespace = _find_namespace(source, context)
        except Exception as error:  # noqa: BLE001 - a kubeconfig can be wrong in any way
            raise ClusterError(
                f"cannot find the address of the API server in {source}: {error}"
            ) from None
        return cls(configuration, namespace or "default")

    def send(
        self,
        action: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "",
        accept: str = JSON,
        read_timeout: float = READ_SECONDS,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, and return the successful response when its head is there.

        Args:
            action: What the request does, as it follows "cannot" in messages.
            method: HTTP method.
            path: Path of the resource.
            query: Query parameters.
            body: JSON to send.
            content_type: Its media type, if it is not that of `CONTENT_TYPES`.
            accept: Media types of the response.
            read_timeout: Seconds without a byte after which the connection is given up.
        """
        if query:
            path += f"?{urlencode(query)}"
        content = None if body is None else json.dumps(body)
        response = self._request(action, method, path, content, read_timeout, accept, content_type)
        if response.status in range(200, 300):
            return response
        answer = _read(action, response)
        error = create_error(action, response.status, _find_message(answer))
        if isinstance(error, ExpiredError):
            error.next_page = _find_next_page(_parse(answer))
        raise error

    def call(
        self,
        action: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "",
        accept: str = JSON,
    ) -> dict[str, Any]:
        """Send a request as `send` does, and return the JSON object of the response."""
        response = self.send(
            action,
            method,
            path,
            query=query,
            body=body,
            content_type=content_type,
            accept=accept,
        )
        content = _parse(_read(action, response))
        if not isinstance(content, dict):
            raise UnavailableError(f"cannot {action}: the response is not a JSON object")
        return content

    def get(self, path: str) -> dict[str, Any] | None:
        """Return the object at a path, or None if it does not exist."""
        try:
            return self.call(f"get {path}", "GET", path)
        except NotFoundError:
            return None

    def get_text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """Return what is at a path as text, such as metrics or the log of a Pod."""
        path += f"?{urlencode(query)}" if query else ""
        action = f"get {path}"
        content = _read(action, self.send(action, "GET", path, accept="*/*"))
        return content.decode("utf-8", "replace")

    def is_allowed(self, user: str, verb: str, resource: str, group: str, name: str) -> bool:
        """Return whether a user may do something with an object of the cluster.

        Args:
            user: The user.
            verb: What to do.
            resource: The resource, such as ``pods``, or ``pods/status``.
            group: Its API group.
            name: Name of the object; empty for all.
        """
        resource, _, subresource = resource.partition("/")
        attributes = {"verb": verb, "resource": resource, "group": group, "name": name}
        if subresource:
            attributes["subresource"] = subresource
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        found = self.call(f"ask what {user} may do", "POST", path, body=review)
        return bool(found.get("status", {}).get("allowed"))

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

        See `Retrieving large results sets in chunks`_. After five minutes the API server
        forgets the version that the first page had; then the rest is of the latest version.

        Args:
            path: Path of the collection.

        Raises:
            NotFoundError: The API server does not know the collection.

        .. _Retrieving large results sets in chunks:
           https://kubernetes.io/docs/reference/using-api/api-concepts/
        """
        query = {"limit": str(PAGE_SIZE)}
        while True:
            try:
                page = self.call(f"list {path}", "GET", path, query=query)
            except ExpiredError as error:
                if error.next_page in {"", query.get("continue")}:
                    raise
                query["continue"] = error.next_page
                continue
            items = page.get("items")
            if isinstance(items, list):
                yield from (item for item in items if isinstance(item, dict))
            query["continue"] = _find_next_page(page)
            if not query["continue"]:
                return

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
        # Imported here, as the webhook does not need it.
        from kubernetes.stream.ws_client import create_websocket  # noqa: PLC0415

        action = f"reach port {port} of Pod {namespace}/{pod}"
        context = ssl.create_default_context(cadata=ca_bundle.decode("ascii", "replace"))
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port}"
        url = f"ws{(self.host + path).removeprefix('http')}"
        socket: Any = None
        try:
            socket = create_websocket(  # type: ignore[no-untyped-call]
                self._configuration, url, self._authorize("authorization")
            )
            socket.settimeout(READ_SECONDS)
            return _shake_hands(socket, context, host)
        except Exception as error:
            if socket is not None and isinstance(error, ssl.SSLError):
                raise
            raise UnavailableError(f"cannot {action}: {describe_network_error(error)}") from None
        finally:
            if socket is not None:
                socket.shutdown()  # without waiting for the other end

    def _authorize(self, header: str) -> dict[str, str]:
        """Return the header with the token, if there is one."""
        # The package reads the token file again as the token ages.
        token = self._configuration.auth_settings().get("BearerToken")
        return {header: token["value"]} if token is not None and token["value"] else {}

    def _request(
        self,
        action: str,
        method: str,
        path: str,
        body: str | None = None,
        read_timeout: float = READ_SECONDS,
        accept: str = JSON,
        content_type: str = "",
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": accept, "User-Agent": f"mirrorhook/{__version__}"}
        if method in CONTENT_TYPES:
            headers["Content-Type"] = content_type or CONTENT_TYPES[method]
        try:
            headers |= self._authorize("Authorization")
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


def _find_namespace(kubeconfig: str, context: str | None) -> str:
    """Return the namespace of a context of a kubeconfig; empty if it has none."""
    every, current = config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
    named = (each for each in every if each["name"] == context)
    chosen = next(named, {}) if context else current
    return str((chosen.get("context") or {}).get("namespace") or "")


def _shake_hands(socket: Any, context: ssl.SSLContext, host: str) -> bytes:
    """Return the certificate of a server behind the websocket of a forwarded port, in PEM.

    A message begins with a channel: 0 for data, 1 for errors. The first message of each has
    the number of the port.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = context.wrap_bio(incoming, outgoing, server_hostname=host)
    opened: set[int] = set()
    is_done = False
    while not is_done:
        try:
            secure.do_handshake()
            is_done = True
        except ssl.SSLWantReadError:
            pass
        # The last message, too: otherwise the server would log a handshake that failed.
        data = outgoing.read()
        if data:
            socket.send_binary(b"\0" + data)
        if not is_done:
            _receive(socket, incoming, opened)
    return ssl.DER_cert_to_PEM_cert(secure.getpeercert(True) or b"").encode()


def _receive(socket: Any, incoming: ssl.MemoryBIO, opened: set[int]) -> None:
    kind, message = socket.recv_data()
    if kind != BINARY or not message:
        raise ConnectionError("the connection was closed")
    channel, content = message[0], message[1:]
    if channel in opened and channel:
        raise ConnectionError(content.decode("utf-8", "replace"))
    if channel in opened:
        incoming.write(content)
    opened.add(channel)


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


def _find_next_page(content: Any) -> str:
    """Return the token of the next page of a list; empty if there is none."""
    metadata = content.get("metadata") if isinstance(content, dict) else None
    return str(metadata.get("continue") or "") if isinstance(metadata, dict) else ""


def _find_message(body: bytes) -> str:
    """Return the message of the Status that an unsuccessful response holds."""
    status = _parse(body)
    message = status.get("message") if isinstance(status, dict) else None
    return str(message) if message else "the API server gives no reason"

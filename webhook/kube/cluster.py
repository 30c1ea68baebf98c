"""What the running webhook does in a cluster, without blocking its event loop.

It keeps a Secret with a CA, and has the API server trust that CA by the ``caBundle`` of a
MutatingWebhookConfiguration. It needs few permissions: ``get``, ``watch`` and ``patch`` on
both objects by name, ``create`` on Secrets (for which RBAC knows no names; not needed where
the Secret exists), and ``list`` on EndpointSlices (whose names end at random) to find the
other replicas. If it may ``get`` namespaces and Pods, the console says more about
them.
"""

from __future__ import annotations

import asyncio
import base64
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from webhook.kube.errors import NotFoundError, RefusedError, UnavailableError
from webhook.kube.objects import (
    FIELD_MANAGER,
    Endpoint,
    Secret,
    WebhookConfiguration,
    WebhookSelection,
)
from webhook.kube.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from webhook.kube.client import KubeClient

__all__ = ["Cluster", "find_endpoints", "run_in_thread"]

T = TypeVar("T")

CALL_SECONDS: Final = 30.0
VISITOR_SECONDS: Final = 1.0  # a visitor of the console is waiting
CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class Cluster:
    """The objects of a cluster that the webhook reads and writes.

    All methods raise `ClusterError` if they fail. Those that change an object raise
    `ConflictError` if it was changed since it was read, and `NotFoundError` if it was deleted.

    Args:
        client: Sends the requests.
        limit: Seconds that a call may take in all.
    """

    def __init__(self, client: KubeClient, *, limit: float = CALL_SECONDS) -> None:
        self._client = client
        self._limit = limit

    async def get_secret(self, namespace: str, name: str) -> Secret | None:
        """Return a Secret, or None if it does not exist."""
        action = f"get Secret {namespace}/{name}"
        try:
            return Secret.from_json(await self._call(action, "GET", _secrets(namespace, name)))
        except NotFoundError:
            return None

    async def create_secret(
        self, namespace: str, name: str, kind: str, data: Mapping[str, bytes]
    ) -> Secret:
        """Create a Secret of the type *kind*.

        Raises:
            ConflictError: It exists already.
            RefusedError: The namespace does not exist.
        """
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            # No label "managed-by": Helm would refuse to adopt the Secret.
            "metadata": {"name": name},
            "type": kind,
            "data": _encode(data),
        }
        action = f"create Secret {namespace}/{name}"
        try:
            return Secret.from_json(await self._call(action, "POST", _secrets(namespace), body))
        except NotFoundError as error:
            raise RefusedError(str(error)) from None

    async def patch_secret(self, secret: Secret, data: Mapping[str, bytes]) -> Secret:
        """Set keys of a Secret if it is unchanged since it was read; other keys stay."""
        body = {"metadata": {"resourceVersion": secret.version}, "data": _encode(data)}
        action = f"patch Secret {secret.namespace}/{secret.name}"
        path = _secrets(secret.namespace, secret.name)
        return Secret.from_json(await self._call(action, "PATCH", path, body))

    async def get_webhook_configuration(self, name: str) -> WebhookConfiguration | None:
        """Return a MutatingWebhookConfiguration, or None if it does not exist."""
        action = f"get MutatingWebhookConfiguration {name}"
        try:
            content = await self._call(action, "GET", f"{CONFIGURATIONS}/{name}")
        except NotFoundError:
            return None
        return WebhookConfiguration.from_json(content)

    async def list_webhook_selections(
        self, name: str, *, limit: float = VISITOR_SECONDS
    ) -> list[WebhookSelection]:
        """Return for which Pods the API server calls the webhooks of a configuration.

        Raises:
            NotFoundError: The configuration does not exist.
        """
        action = f"get MutatingWebhookConfiguration {name}"
        content = await self._call(action, "GET", f"{CONFIGURATIONS}/{name}", limit=limit)
        return [WebhookSelection.from_json(each) for each in content.get("webhooks") or ()]

    async def get_namespace_labels(
        self, name: str, *, limit: float = VISITOR_SECONDS
    ) -> dict[str, str]:
        """Return the labels of a namespace.

        Raises:
            NotFoundError: It does not exist.
            ForbiddenError: The webhook may not read namespaces, as usual.
        """
        action = f"get Namespace {name}"
        path = f"/api/v1/namespaces/{_quote_name(action, name)}"
        content = await self._call(action, "GET", path, limit=limit)
        return content["metadata"].get("labels") or {}

    async def get_pod(
        self, namespace: str, name: str, *, limit: float = VISITOR_SECONDS
    ) -> dict[str, Any]:
        """Return a Pod, as its JSON.

        Raises:
            NotFoundError: It does not exist.
            ForbiddenError: The webhook may not read Pods, as usual.
        """
        action = f"get Pod {namespace}/{name}"
        space, pod = (_quote_name(action, each) for each in (namespace, name))
        return await self._call(
            action, "GET", f"/api/v1/namespaces/{space}/pods/{pod}", limit=limit
        )

    async def disown_ca_bundles(self, configuration: WebhookConfiguration) -> None:
        """Give up the ownership of the CA bundles of an unchanged configuration.

        Helm 4 applies on the server: it cannot set what another field manager owns
        (https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts), so an
        upgrade that sets the CA bundles itself would fail. What nobody owns stays as it is in
        all other upgrades.
        """
        metadata = {
            "resourceVersion": configuration.version,
            "managedFields": configuration.other_managers,
        }
        await self._patch_configuration(configuration, {"metadata": metadata})

    async def patch_ca_bundles(
        self, configuration: WebhookConfiguration, ca_bundle: bytes
    ) -> WebhookConfiguration:
        """Give all webhooks of an unchanged configuration the same CA bundle, in PEM."""
        encoded = base64.b64encode(ca_bundle).decode()
        body = {
            "metadata": {"resourceVersion": configuration.version},
            "webhooks": [
                {"name": name, "clientConfig": {"caBundle": encoded}}
                for name in configuration.ca_bundles
            ],
        }
        return await self._patch_configuration(configuration, body)

    async def _patch_configuration(
        self, configuration: WebhookConfiguration, body: Mapping[str, Any]
    ) -> WebhookConfiguration:
        action = f"patch MutatingWebhookConfiguration {configuration.name}"
        path = f"{CONFIGURATIONS}/{configuration.name}"
        return WebhookConfiguration.from_json(await self._call(action, "PATCH", path, body))

    async def list_endpoints(
        self, namespace: str, service: str, port: str, *, limit: float = VISITOR_SECONDS
    ) -> list[Endpoint]:
        """Return the Pods behind a Service that have an address, each once.

        Args:
            namespace: Namespace of the Service.
            service: Name of the Service.
            port: Name of the port to reach them at.
            limit: Seconds that the call may take in all.
        """
        action = f"list EndpointSlices of Service {namespace}/{service}"
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        query = {"labelSelector": f"kubernetes.io/service-name={service}"}
        content = await self._call(action, "GET", path, query=query, limit=limit)
        return find_endpoints(content.get("items") or (), port)

    def watch_secret(self, namespace: str, name: str, on_change: Callable[[], None]) -> Watch:
        """Return a `Watch` on a Secret."""
        action = f"watch Secret {namespace}/{name}"
        return Watch(self._client, action, _secrets(namespace), name, on_change)

    def watch_webhook_configuration(self, name: str, on_change: Callable[[], None]) -> Watch:
        """Return a `Watch` on a MutatingWebhookConfiguration."""
        action = f"watch MutatingWebhookConfiguration {name}"
        return Watch(self._client, action, CONFIGURATIONS, name, on_change)

    async def _call(
        self,
        action: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        limit: float | None = None,
    ) -> dict[str, Any]:
        if body is not None:
            query = {"fieldManager": FIELD_MANAGER}
        limit = limit or self._limit
        try:
            return await run_in_thread(
                lambda: self._client.call(action, method, path, query=query, body=body),
                limit=limit,
            )
        except TimeoutError:
            raise UnavailableError(
                f"cannot {action}: no complete response within {limit:g} seconds"
            ) from None


def _quote_name(action: str, name: str) -> str:
    """Return a name as one part of a path, as visitors of the console write anything.

    Raises:
        NotFoundError: It would lead to another path.
    """
    if name in {"", ".", ".."}:
        raise NotFoundError(f"cannot {action}: no object has such a name")
    return quote(name, safe="")


def find_endpoints(slices: Iterable[Mapping[str, Any]], port: str) -> list[Endpoint]:
    """Return the Pods in EndpointSlices, each once even if it has an IPv4 and an IPv6 address.

    Args:
        slices: EndpointSlices, from their JSON.
        port: Name of the port to reach the Pods at; slices without it are skipped.
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


async def run_in_thread(call: Callable[[], T], *, limit: float) -> T:
    """Return the result of a blocking call, which runs in a daemon thread of its own.

    The threads of asyncio's executor are waited for when the process ends. A daemon thread
    is not, so an API server that does not answer delays no shutdown.

    Raises:
        TimeoutError: The call took longer than *limit* seconds; it may still be running.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from here on it cannot be cancelled

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            future.set_exception(error)

    threading.Thread(target=run, name="kubernetes", daemon=True).start()
    async with asyncio.timeout(limit):
        return await asyncio.wrap_future(future)


def _secrets(namespace: str, name: str = "") -> str:
    """Return the path of a Secret, or of all Secrets of a namespace."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    return f"{path}/{name}" if name else path


def _encode(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}

"""Ask the other replicas for their state when somebody opens the console."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter, ValidationError

from webhook.kube import ClusterError, connect
from webhook.server.console.views import Replica, ReplicaList, ReplicaState

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.kube import Endpoint
    from webhook.kube.cluster import Cluster
    from webhook.tls import ManagedCertificate

__all__ = ["ReplicaDirectory"]

TIMEOUT_SECONDS: Final = 1.0
MAX_AGE_SECONDS: Final = 2.0
MAX_BYTES: Final = 64 * 1024
NO_ACCESS: Final = (
    "without self-managed certificates the webhook cannot ask the API server for the others. "
    "Look at each replica: kubectl port-forward pod/NAME 8080"
)


@dataclass(slots=True)
class ReplicaDirectory:
    """Lists all replicas; it sends no request until a visitor opens the console.

    Attributes:
        own: Returns the state of this replica.
        managed: Names the Service of the replicas; None without access to the API server.
        clock: Returns monotonic seconds.
        connect: Connects to the API server.
        timeout: Seconds to wait for each replica.
    """

    own: Callable[[], ReplicaState]
    managed: ManagedCertificate | None
    clock: Callable[[], float]
    connect: Callable[[], Cluster] = connect
    timeout: float = TIMEOUT_SECONDS
    _cluster: Cluster | None = None
    _answer: asyncio.Task[ReplicaList] | None = None
    _asked_at: float = 0.0

    async def list_replicas(self) -> ReplicaList:
        """Return all replicas as of at most two seconds ago: visitors share the answers."""
        now = self.clock()
        if self._answer is None or now - self._asked_at >= MAX_AGE_SECONDS:
            self._asked_at, self._answer = now, asyncio.create_task(self._ask_all())
        # A visitor who leaves must not cancel it for the others.
        return await asyncio.shield(self._answer)

    async def _ask_all(self) -> ReplicaList:
        own = self.own()
        try:
            endpoints = await self._find()
        except ClusterError as error:
            return ReplicaList([_describe(own, own)], False, str(error), [])
        replicas = await asyncio.gather(*(self._ask(each, own) for each in endpoints))
        if not any(each.this for each in replicas):
            replicas.append(_describe(own, own))
        states = [each.state for each in replicas if each.state]
        compared = {
            "version": {state.version for state in states},
            "rules": {state.rules.digest for state in states},
        }
        differences = [name for name, values in compared.items() if len(values) > 1]
        return ReplicaList(sorted(replicas, key=lambda each: each.name), True, "", differences)

    async def _find(self) -> list[Endpoint]:
        if self.managed is None:
            raise ClusterError(NO_ACCESS)
        self._cluster = self._cluster or self.connect()
        namespace, service = self.managed.service_namespace, self.managed.service_name
        return await self._cluster.list_endpoints(namespace, service, "operations")

    async def _ask(self, endpoint: Endpoint, own: ReplicaState) -> Replica:
        if endpoint.pod == own.name:
            return _describe(own, own)
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        address = f"{host}:{endpoint.port}"
        state = await _fetch(address, self.timeout)
        if isinstance(state, str):
            return Replica(endpoint.pod or address, address, False, "no-answer", state, None)
        return _describe(state, own, endpoint.pod, address)


def _describe(state: ReplicaState, own: ReplicaState, pod: str = "", address: str = "") -> Replica:
    return Replica(
        name=pod or state.name,
        address=address,
        this=state.identity == own.identity,
        status="ready" if state.ready else "not-ready",
        reason="; ".join(state.problems),
        state=state,
    )


async def _fetch(address: str, limit: float) -> ReplicaState | str:
    """Return the state that a replica reports, or the reason why it does not."""
    # It takes 130 ms and 5 MB, which few replicas need; a thread does not hold up reviews.
    await asyncio.to_thread(import_module, "httpx")
    import httpx  # noqa: PLC0415 - see above

    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading the system's CAs takes 50 ms
    answer, body = "no HTTP", b""
    try:
        async with (
            asyncio.timeout(limit),
            httpx.AsyncClient(verify=no_tls, trust_env=False, timeout=limit) as client,
            client.stream("GET", f"http://{address}/replica") as response,
        ):
            answer = f"HTTP {response.status_code}"
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    break
        return TypeAdapter(ReplicaState).validate_json(body)
    except (TimeoutError, httpx.TimeoutException):
        return (
            f"{address} did not answer within {limit:g} seconds: it hangs, or a NetworkPolicy "
            "blocks the request"
        )
    except (httpx.RemoteProtocolError, ValidationError):
        return (
            f"{address}/replica did not return its state ({answer}): it runs another version, or "
            "its console is off"
        )
    except httpx.TransportError as error:
        return f"{address} cannot be reached: {_find_cause(error)}"


def _find_cause(error: BaseException | None) -> str:
    while error:
        if isinstance(error, OSError) and error.errno:
            return os.strerror(error.errno)
        error = error.__cause__ or error.__context__
    return "the connection broke"

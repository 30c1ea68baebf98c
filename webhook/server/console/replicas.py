"""Ask the other replicas for their state and their decisions when somebody opens the console."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import anyio
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError

from webhook.kube import ClusterError, connect
from webhook.server.console.selection import SelectionView, describe_selection
from webhook.server.console.views import Replica, ReplicaList, ReplicaState
from webhook.server.history import FoundPods, merge_found
from webhook.server.pod_query import PodQuery
from webhook.tls import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from webhook.kube import Endpoint
    from webhook.kube.cluster import Cluster
    from webhook.server.history import NamespaceRecord
    from webhook.tls import ManagedCertificate, Seal

__all__ = ["DecisionExchange", "ReplicaDirectory", "SearchResult"]

TIMEOUT_SECONDS: Final = 1.0
MAX_AGE_SECONDS: Final = 2.0
MAX_BYTES: Final = 64 * 1024
MAX_ANSWER: Final = 8 * 1024 * 1024
# Of an answer before it is encrypted, which makes it a third larger. The best Pods are sent.
MAX_FOUND: Final = 6 * 1024 * 1024 - 1024
# Of all replicas together: their answers come at the same time.
MAX_FOUND_TOTAL: Final = 24 * 1024 * 1024
MAX_QUERY: Final = 32 * 1024
STATE_PATH: Final = "/replica"
DECISIONS_PATH: Final = "/replica/decisions"
OTHER_VERSION: Final = "it runs another version, or its console is off"
REFUSED: Final = (
    "refused the query (HTTP 403): it has another CA, another version, or a clock that differs by "
    "more than a minute"
)
NO_ACCESS: Final = (
    "without self-managed certificates the webhook cannot ask the API server for the others. "
    "Look at each replica: kubectl port-forward pod/NAME 8080"
)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What the replicas know of some Pods.

    Attributes:
        found: The Pods.
        replicas: How many replicas there are, as far as is known.
        answered: How many of them answered, this one included.
        missing: Why the others did not, or why only this one is known.
    """

    found: FoundPods
    replicas: int
    answered: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _SealedQuery:
    """A query, as replicas send it to each other; the nonce ties the answer to it."""

    nonce: str
    text: str
    namespace: str
    outcome: str
    problems: bool
    limit: int
    most: int = MAX_FOUND


@dataclass(frozen=True, slots=True)
class _SealedAnswer:
    """The answer to a query, with the identity of the replica."""

    nonce: str
    identity: str
    found: FoundPods


_queries: Final = TypeAdapter(_SealedQuery)
_answers: Final = TypeAdapter(_SealedAnswer)


@dataclass(frozen=True, slots=True)
class DecisionExchange:
    """Tells other replicas what this one decided, and asks them; others can read neither.

    Attributes:
        find: Returns the Pods that this replica decided on.
        get_seal: Returns what replicas of the same CA encrypt with; None if there is no such CA.
        identity: The random name of this process.
    """

    find: Callable[[PodQuery], FoundPods]
    get_seal: Callable[[], Seal | None]
    identity: str

    async def answer(self, sealed: str) -> bytes:
        """Return the encrypted answer to an encrypted query.

        Raises:
            CertificateError: No other replica wrote it.
        """
        seal = self.get_seal()
        if seal is None:
            raise CertificateError("the replicas share no CA")
        try:
            asked = _queries.validate_json(seal.open(sealed.encode()))
        except ValidationError:
            raise CertificateError("it is of another version") from None
        query = PodQuery(
            asked.text, asked.namespace, asked.outcome, problems=asked.problems, limit=asked.limit
        )

        def find() -> bytes:
            found = self.find(query)
            while True:
                answer = _answers.dump_json(_SealedAnswer(asked.nonce, self.identity, found))
                if len(answer) <= min(MAX_FOUND, asked.most) or not found.pods:
                    return seal.close(answer)
                found = replace(found, pods=found.pods[: len(found.pods) // 2])

        return await run_in_threadpool(find)

    async def ask(
        self, address: str, query: PodQuery, seconds: float, most: int
    ) -> FoundPods | str | None:
        """Return what the replica at an address knows, or the reason why it does not answer.

        None if it is this one: on the network of the host, a replica does not know its name.

        Args:
            address: Its host and port.
            query: Which Pods.
            seconds: How long to wait.
            most: Bytes of the best Pods that it sends.
        """
        seal = self.get_seal()
        if seal is None:
            return "this replica has no CA yet, by which it could ask the others"
        nonce = token_hex(8)
        asked = _SealedQuery(
            nonce, query.text, query.namespace, query.outcome, query.problems, query.limit, most
        )
        token = seal.close(_queries.dump_json(asked)).decode()
        body = await _fetch(f"{address}{DECISIONS_PATH}?query={token}", seconds, MAX_ANSWER)
        if isinstance(body, str):
            return body
        try:
            # Answers may be large, and must not hold up reviews.
            answer = await run_in_threadpool(lambda: _answers.validate_json(seal.open(body)))
        except (CertificateError, ValidationError):
            return f"{address} did not return its decisions: {OTHER_VERSION}"
        if answer.nonce != nonce:
            return f"{address} returned the answer to another query"
        return None if answer.identity == self.identity else answer.found


@dataclass(slots=True)
class ReplicaDirectory:
    """Asks all replicas; it sends no request until a visitor opens the console.

    Attributes:
        own: Returns the state of this replica.
        exchange: Asks the others for their decisions.
        managed: Names the Service of the replicas; None without access to the API server.
        clock: Returns monotonic seconds.
        connect: Connects to the API server.
        timeout: Seconds to wait for each replica.
    """

    own: Callable[[], ReplicaState]
    exchange: DecisionExchange
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

    async def find_pods(self, query: PodQuery) -> SearchResult:
        """Return what all replicas know of the Pods that match a query."""
        own = self.own()
        mine = await run_in_threadpool(self.exchange.find, query)
        try:
            endpoints = await self._find()
        except ClusterError as error:
            return SearchResult(mine, 1, 1, (str(error),))
        others = [each for each in endpoints if each.pod != own.name]
        most = min(MAX_FOUND, MAX_FOUND_TOTAL // max(1, len(others)))
        ask = partial(self.exchange.ask, query=query, seconds=self.timeout, most=most)
        answers = await asyncio.gather(*(ask(_join_address(each)) for each in others))
        found = [answer for answer in answers if isinstance(answer, FoundPods)]
        missing = [
            f"{each.pod or each.address}: {answer}"
            for each, answer in zip(others, answers, strict=True)
            if isinstance(answer, str)
        ]
        merged = merge_found([mine, *found], query.limit)
        answered = len(found) + 1
        return SearchResult(merged, answered + len(missing), answered, tuple(missing))

    async def describe_selections(
        self, namespaces: Mapping[str, NamespaceRecord], pod: str
    ) -> dict[str, SelectionView]:
        """Return whether the API server calls the webhook for a Pod in some namespaces."""
        if self.managed is None:
            return {}
        self._cluster = self._cluster or self.connect()
        name = self.managed.configuration
        views = await asyncio.gather(
            *(
                describe_selection(
                    self._cluster, name, namespace, "" if pod == namespace else pod, known.since
                )
                for namespace, known in namespaces.items()
            )
        )
        return dict(zip(namespaces, views, strict=True))

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
        address = _join_address(endpoint)
        body = await _fetch(f"{address}{STATE_PATH}", self.timeout, MAX_BYTES)
        try:
            state = (
                TypeAdapter(ReplicaState).validate_json(body) if isinstance(body, bytes) else body
            )
        except ValidationError:
            state = f"{address}{STATE_PATH} did not return its state (HTTP 200): {OTHER_VERSION}"
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


def _join_address(endpoint: Endpoint) -> str:
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return f"{host}:{endpoint.port}"


async def _fetch(url: str, limit: float, most: int) -> bytes | str:
    """Return the body that a replica sends, or the reason why it does not.

    Args:
        url: Address and path, with a query if it has one.
        limit: Seconds to wait.
        most: How many bytes to read at most.
    """
    # It takes 130 ms and 5 MB, which few replicas need; a thread does not hold up reviews.
    await asyncio.to_thread(import_module, "httpx")
    import httpx  # noqa: PLC0415 - see above

    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading the system's CAs takes 50 ms
    address = url.partition("/")[0]
    shown = url.partition("?")[0]
    answer, body = "no HTTP", bytearray()
    try:
        # Cancelled by asyncio, httpcore would lose connections.
        with anyio.fail_after(limit):
            async with (
                httpx.AsyncClient(verify=no_tls, trust_env=False, timeout=limit) as client,
                client.stream("GET", f"http://{url}") as response,
            ):
                answer = f"HTTP {response.status_code}"
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > most:
                        answer = f"more than {most:,} bytes"
                        break
        if response.is_success and len(body) <= most:
            return bytes(body)
        if response.status_code == httpx.codes.FORBIDDEN:
            return f"{address} {REFUSED}"
    except (TimeoutError, httpx.TimeoutException):
        return (
            f"{address} did not answer within {limit:g} seconds: it hangs, or a NetworkPolicy "
            "blocks the request"
        )
    except httpx.RemoteProtocolError:
        pass
    except httpx.TransportError as error:
        return f"{address} cannot be reached: {_find_cause(error)}"
    return f"{shown} did not return its state ({answer}): {OTHER_VERSION}"


def _find_cause(error: BaseException | None) -> str:
    while error:
        if isinstance(error, OSError) and error.errno:
            return os.strerror(error.errno)
        error = error.__cause__ or error.__context__
    return "the connection broke"

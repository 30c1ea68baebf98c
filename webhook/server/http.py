"""HTTP/1.1 over TLS or plain TCP: uvicorn's server, with the limits that it leaves open.

uvicorn limits neither the size of a request's head nor the time that a request takes to
arrive, so a few silent connections could block a replica.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server

from webhook.server.limits import encode_status

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from webhook.server.certificates import ServingCertificate

__all__ = ["BACKLOG", "LIMITS", "SETTINGS", "ConnectionLimits", "ListenError", "Listener", "listen"]

# Each API server dials anew when many Pods come at once, or when all of them restart.
BACKLOG: Final = 2048
# Together with the drain, within the 30 seconds that Kubernetes gives a Pod to end.
GRACE_SECONDS: Final = 20
# What uvicorn does for applications in general, and this one does not need.
SETTINGS: Final[dict[str, Any]] = {
    "ws": "none",
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
}
TICKS_A_SECOND: Final = 10
BODY_FIELDS: Final = (b"content-length", b"transfer-encoding")


class ListenError(Exception):
    """A port that cannot be listened on; the message says why."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take.

    Attributes:
        idle: Seconds without a request. Longer than the 90 after which the API server
            closes a connection itself: whichever side closes first may lose a request
            that is on its way.
        age: Seconds after which the connection ends with its next answer. An API server
            keeps a connection for as long as it is used, and would never ask another replica.
        request: Seconds from the first byte of a request to its last.
        linger: Seconds that a connection is kept open once it is to be closed: a request
            may be on its way, or the client not done with sending.
        head: Bytes of a request's head.
    """

    idle: int = 120
    age: float = 30.0
    request: float = 10.0
    linger: float = 1.0
    head: int = 64 * 1024


LIMITS: Final = ConnectionLimits()


class LimitedProtocol(HttpToolsProtocol):
    """One connection, with limits on the head and on the time of each request."""

    def __init__(self, *args: Any, limits: ConnectionLimits = LIMITS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._opened = self.loop.time()
        # When the request that is arriving began; None if it is complete.
        self._began: float | None = None
        self._in_head = False
        self._head_size = 0
        # The head is not longer than what arrived since it began.
        self._arrived = 0
        # Whether what arrives is thrown away.
        self._is_deaf = False

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and refuse a head that is too long before it is complete."""
        if self._is_deaf:
            return
        in_head = self._in_head
        self._arrived = len(data) + (self._arrived if in_head else 0)
        super().data_received(data)
        if in_head and self._in_head:
            self._head_size += len(data)
            if self._head_size > self._limits.head:
                self._refuse_head()

    def on_message_begin(self) -> None:
        """Note when a request begins."""
        super().on_message_begin()
        self._began = self.loop.time()
        self._head_size = 0
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is too long."""
        self._in_head = False
        if self._arrived > self._limits.head:
            self._head_size = len(self.url) + sum(len(n) + len(v) for n, v in self.headers)
            if self._head_size > self._limits.head:
                raise ValueError  # which the parser reports, so that `send_400_response` is called
        upgrade = self.parser.should_upgrade()
        if upgrade and any(name in BODY_FIELDS for name, _ in self.headers):
            raise ValueError  # as above: the parser would take the body for the next request
        super().on_headers_complete()
        if upgrade or self.loop.time() - self._opened > self._limits.age:
            self.cycle.keep_alive = False
        # The client may go on in the protocol that it asked for. It gets its answer in HTTP/1.1,
        # and the connection ends (RFC 9110, 7.8).
        self._is_deaf = upgrade

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        self._began = None
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the connection; uvicorn's timer would hold one that was reset for minutes."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or a head that is too long."""
        if self._head_size > self._limits.head:
            self._refuse_head()
        else:
            self.refuse(400, msg)

    def refuse(self, code: int, message: str) -> None:
        """Answer with an error, and close.

        Whatever still arrives is thrown away: closing at once would take the answer from a
        client that is still sending.
        """
        body = encode_status(code, message)
        head = (
            f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        if self._can_answer:
            self.transport.write(head.encode() + body)
        self._is_deaf = True
        self.loop.call_later(self._limits.linger, self.transport.close)

    def enforce_times(self, now: float) -> None:
        """Refuse a request that takes too long, and close a connection that was never used.

        Args:
            now: The loop's time in seconds.
        """
        if self._is_deaf or self.transport.is_closing():
            return
        if self._began is not None and now - self._began > self._limits.request:
            seconds = f"{self._limits.request:g} seconds"
            self.refuse(408, f"the request was not complete after {seconds}")
        elif self._is_unused and now - self._opened > self._limits.idle:
            self.transport.close()

    def shutdown(self) -> None:
        """End when the request in hand is answered; an unused connection may still send one."""
        if self._began is not None:
            passed = self.loop.time() - self._began
            self.loop.call_later(self._limits.request - passed, self._close_if_incomplete)
        elif self._is_unused:
            self.loop.call_later(self._limits.linger, self._close_if_unused)
        if self._latest is not None and not self._in_head:
            super().shutdown()

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: that an upgrade is not granted is no problem."""

    def _refuse_head(self) -> None:
        self.refuse(431, f"the head is larger than {self._limits.head} bytes")

    def _close_if_incomplete(self) -> None:
        if self._began is not None:
            self.transport.close()

    def _close_if_unused(self) -> None:
        if self._is_unused:
            self.transport.close()

    @property
    def _latest(self) -> RequestResponseCycle | None:
        """The latest request whose head is complete."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle

    @property
    def _can_answer(self) -> bool:
        """Whether an answer would be the first to its request, and follow the previous answer."""
        cycle = self._latest
        if cycle is None:
            return True
        if self._began is None or self._in_head:
            return cycle.response_complete
        return not cycle.response_started

    @property
    def _is_unused(self) -> bool:
        """Whether no request has come; after the first one uvicorn closes idle connections."""
        return self._latest is None and self._began is None


class EmbeddedServer(Server):
    """uvicorn's server as one of several in a process, which decides when they end.

    Attributes:
        opened: Is set when it accepts connections.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.opened = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        self.opened.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the process."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Enforce the time limits of all connections once a second."""
        if counter % TICKS_A_SECOND == 0:
            now = asyncio.get_running_loop().time()
            for connection in [*self.server_state.connections]:
                if isinstance(connection, LimitedProtocol):
                    connection.enforce_times(now)
        return await super().on_tick(counter)


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket, and the server that answers there."""

    socket: socket.socket
    server: EmbeddedServer
    scheme: str

    @property
    def address(self) -> str:
        """The URL to reach it at."""
        host, port = self.socket.getsockname()[:2]
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def listen(
    host: str,
    port: int,
    app: ASGIApp,
    certificate: ServingCertificate | None = None,
    *,
    limits: ConnectionLimits = LIMITS,
) -> Listener:
    """Listen on a TCP port for *app*.

    Args:
        host: Address or name; empty for every address, of IPv6 too where there is one.
        port: The port; 0 for any free one.
        app: The application.
        certificate: For TLS; None for plain HTTP.
        limits: Limits of each connection.

    Raises:
        ListenError: The port is in use or not permitted, or the host is not of this machine.
    """
    opened = _open_socket(host, port)
    config = Config(
        app,
        http=cast("type[LimitedProtocol]", partial(LimitedProtocol, limits=limits)),
        backlog=BACKLOG,
        timeout_keep_alive=limits.idle,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
        **SETTINGS,
    )
    return Listener(opened, EmbeddedServer(config), "https" if certificate else "http")


def _open_socket(host: str, port: int) -> socket.socket:
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
            )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        where = f"port {port} of {host}" if host else f"port {port}"
        raise ListenError(f"cannot listen on {where}: {reason}") from None

"""The listening ports: uvicorn's server, which accepts its connections here."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from uvicorn import Config
from uvicorn.server import Server

from webhook.server.connections import ConnectionTable
from webhook.server.http import LIMITS, ConnectionLimits, LimitedProtocol, Port

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from starlette.types import ASGIApp

    from webhook.server.certificates import ServingCertificate

__all__ = ["BACKLOG", "SETTINGS", "ListenError", "Listener", "listen"]

# Each API server dials anew when many Pods come at once, or when all of them restart.
BACKLOG: Final = 2048
# Together with the drain, within the 30 seconds that Kubernetes gives a Pod to end.
GRACE_SECONDS: Final = 20
# Turns off what uvicorn does for applications in general, and this one does not need.
SETTINGS: Final[dict[str, Any]] = {
    "ws": "none",
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
}
TICKS_A_SECOND: Final = 10
# Bytes read at once at most; each connection keeps a buffer of that size afterwards.
RECEIVE_BUFFER: Final = 32 * 1024


class ListenError(Exception):
    """A port that cannot be listened on; the message says why."""


class EmbeddedServer(Server):
    """uvicorn's server as one of several in a process, which decides when they end.

    It accepts connections itself: uvicorn learns of one only when TLS is established, and
    could not bound those before.

    Args:
        config: uvicorn's settings.
        port: What the connections share.

    Attributes:
        opened: Is set when it accepts connections.
    """

    def __init__(self, config: Config, port: Port) -> None:
        super().__init__(config)
        self.opened = asyncio.Event()
        self._port = port
        self._accepting: list[asyncio.Task[None]] = []
        self._opening: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        self.servers = []
        self._accepting = [asyncio.create_task(self._accept(each)) for each in sockets or ()]
        self.started = True
        self.opened.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and end when all requests are answered."""
        for task in self._accepting:
            task.cancel()
        await asyncio.wait([*self._accepting, *self._opening], timeout=self._port.limits.linger)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the process."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Enforce the time limits of all connections once a second, and notice when a port fails.

        Raises:
            Exception: What ended the accepting of connections.
        """
        if counter % TICKS_A_SECOND == 0:
            for task in self._accepting:
                if task.done():
                    task.result()
            now = asyncio.get_running_loop().time()
            for connection in [*self.server_state.connections]:
                if isinstance(connection, LimitedProtocol):
                    connection.enforce_times(now)
        return await super().on_tick(counter)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, (address, *_) = await loop.sock_accept(listening)
                self._admit(accepted, address)
            # Too many open files, no memory, or the client went away: that ends, and this must not.
            except (OSError, MemoryError):
                await asyncio.sleep(1 / TICKS_A_SECOND)

    def _admit(self, accepted: socket.socket, address: str) -> None:
        connection = LimitedProtocol(
            self.config,
            self.server_state,
            self.lifespan.state,
            port=self._port,
            address=address,
        )
        closed = self._port.table.add(connection)
        if closed is not None:
            self._port.on_closing("full", closed.address, "there are too many connections")
            closed.abort()
        if closed is connection:
            accepted.close()
            return
        try:
            task = connection.open(accepted)
        except MemoryError:
            self._port.table.discard(connection)
            accepted.close()
            raise
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)


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
    on_closing: Callable[[str, str, str], None] = lambda *_: None,
) -> Listener:
    """Listen on a TCP port for *app*.

    Args:
        host: Address or name; empty for every address, of IPv6 too where there is one.
        port: The port; 0 for any free one.
        app: The application.
        certificate: For TLS; None for plain HTTP.
        limits: Limits of each connection, and of all.
        on_closing: Is called with a reason, the client's address and a sentence when a
            connection is closed or refused.

    Raises:
        ListenError: The port is in use or not permitted, or the host is not of this machine.
    """
    opened = _open_socket(host, port)
    config = Config(
        app,
        http=LimitedProtocol,
        timeout_keep_alive=limits.idle,
        timeout_graceful_shutdown=GRACE_SECONDS,
        **SETTINGS,
    )
    table = ConnectionTable[LimitedProtocol](limits.connections)
    port_of_all = Port(limits, table, certificate, on_closing)
    return Listener(opened, EmbeddedServer(config, port_of_all), "https" if certificate else "http")


def _open_socket(host: str, port: int) -> socket.socket:
    try:
        if not host and socket.has_dualstack_ipv6():
            opened = socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
            )
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            opened = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        where = f"port {port} of {host}" if host else f"port {port}"
        raise ListenError(
            f"cannot listen on {where}: {reason}; choose another port or host"
        ) from None
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return opened

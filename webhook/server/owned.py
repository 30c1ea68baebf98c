"""uvicorn's server, as one of several in a process that ends when its owner says so."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from uvicorn.server import Server

from webhook.server.protocol import GuardedProtocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

    from uvicorn import Config

__all__ = ["GuardedServer"]


class GuardedServer(Server):
    """A server whose end is decided by its owner, not by signals.

    Attributes:
        opened: Is set when it takes connections.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.opened = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections."""
        await super().startup(sockets)
        self.opened.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Look at every connection once a second; called ten times a second."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in [*self.server_state.connections]:
                if isinstance(connection, GuardedProtocol):
                    connection.sweep(now)
        return await super().on_tick(counter)

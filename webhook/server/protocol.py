"""
HTTP/1.1 on a connection: uvicorn's, with the limits that it leaves open.

uvicorn bounds neither the size of a request's head nor the time that a request
takes to come in, so that a few silent connections could hold a replica.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server

from webhook.server.refusal import status_body

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

    from uvicorn import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["KEEP_ALIVE_SECONDS", "GuardedProtocol", "GuardedServer"]

# Longer than the 90 seconds after which the API server drops an idle connection
# itself: whoever closes first may lose the request that is just being sent.
KEEP_ALIVE_SECONDS: Final = 120
# From the first byte of a request to its last.
REQUEST_SECONDS: Final = 10.0
# A connection that is open when the process ends, and new, is about to be used.
NEW_SECONDS: Final = 1.0
MAX_HEAD: Final = 64 * 1024


class GuardedProtocol(HttpToolsProtocol):
    """
    One connection, with bounds on the head and on the time of each request.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._opened = self.loop.time()
        self._began: float | None = None
        self._head = 0
        self._in_head = False

    def data_received(self, data: bytes) -> None:
        """
        Take what came in, unless it belongs to a head that is too long already.
        """
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.refuse(431, f"the head of the request is larger than {MAX_HEAD} bytes")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """
        Note when a request begins.
        """
        super().on_message_begin()
        self._began = self.loop.time()
        self._head = 0
        self._in_head = True

    def on_headers_complete(self) -> None:
        """
        Note that the head is there.
        """
        self._in_head = False
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            problem = f"the head of the request is larger than {MAX_HEAD} bytes"
            raise ValueError(problem)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """
        Note that a request is whole.
        """
        self._began = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """
        Refuse what is not HTTP.
        """
        self.refuse(400, msg)

    def refuse(self, code: int, message: str) -> None:
        """
        Answer with an error, and close.

        Args:
            code: HTTP status.
            message: What is wrong.
        """
        body = status_body(code, message)
        head = (
            f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        if self.can_answer:
            self.transport.write(head.encode() + body)
        self.transport.close()

    def sweep(self, now: float) -> None:
        """
        Close the connection if it has kept the server waiting for too long.

        Args:
            now: The loop's time in seconds.
        """
        if self.transport.is_closing():
            return
        if self._began is not None and now - self._began > REQUEST_SECONDS:
            self.refuse(408, f"the request was not whole after {REQUEST_SECONDS:g} seconds")
        elif self.is_new and now - self._opened > KEEP_ALIVE_SECONDS:
            self.transport.close()

    @property
    def can_answer(self) -> bool:
        """
        Whether an answer would not fall into the middle of another one.
        """
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is None or cycle.response_complete or not cycle.response_started

    @property
    def is_new(self) -> bool:
        """
        Whether no request has begun on the connection yet.
        """
        return self.cycle is None and self._began is None

    def shutdown(self) -> None:
        """
        End when the request in hand is answered; a new connection may still send one.
        """
        if self._began is not None and self.cycle is None:
            self.loop.call_later(REQUEST_SECONDS, self.transport.close)
        elif self.is_new:
            self.loop.call_later(NEW_SECONDS, self.close_if_new)
        else:
            super().shutdown()

    def close_if_new(self) -> None:
        """
        Close the connection if it is still unused.
        """
        if self.is_new:
            self.transport.close()


class GuardedServer(Server):
    """
    A server whose end is decided by its owner, not by signals.

    Attributes:
        opened: Is set when it takes connections.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.opened = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """
        Begin to take connections.
        """
        await super().startup(sockets)
        self.opened.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """
        Leave signals alone.
        """
        yield

    async def on_tick(self, counter: int) -> bool:
        """
        Look at every connection once a second; called ten times a second.
        """
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in [*self.server_state.connections]:
                if isinstance(connection, GuardedProtocol):
                    connection.sweep(now)
        return await super().on_tick(counter)

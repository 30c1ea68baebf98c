"""HTTP/1.1 on a connection: uvicorn's, with the limits that it leaves open.

uvicorn bounds neither the size of a request's head nor the time that a request
takes to come in, so that a few silent connections could hold a replica.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from webhook.server.limits import status_body

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["LIMITS", "GuardedProtocol", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may take.

    Attributes:
        idle: Seconds without a request. Longer than the 90 after which the API server
            drops a connection itself: whoever closes first may lose the request that
            is just being sent.
        age: Seconds after which the connection ends with its next answer. An API server
            keeps one for as long as it is used, and would never ask another replica.
        request: Seconds from the first byte of a request to its last.
        linger: Seconds that a connection has left once it is to be closed: a request
            may be on its way to it, or its client not done with sending.
        head: Bytes of a request's head.
    """

    idle: int = 120
    age: float = 30.0
    request: float = 10.0
    linger: float = 1.0
    head: int = 64 * 1024


LIMITS: Final = Limits()
BODY_FIELDS: Final = (b"content-length", b"transfer-encoding")
INTERIM: Final = b"HTTP/1.1 1"


class GuardedProtocol(HttpToolsProtocol):
    """One connection, with bounds on the head and on the time of each request."""

    def __init__(self, *args: Any, limits: Limits = LIMITS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._opened = self._quiet_since = self.loop.time()
        self._began: float | None = None
        self._came = 0
        self._is_whole = False
        self._head = 0
        self._in_head = False
        self._is_deaf = False

    def data_received(self, data: bytes) -> None:
        """Take what came in; a head that does not end is refused when it is too long."""
        if self._is_deaf:
            return
        in_head = self._in_head
        self._came = len(data)
        self._is_whole = False
        super().data_received(data)
        if in_head and self._in_head:
            self._head += len(data)
            if self._head > self._limits.head:
                self.refuse_head()

    def on_message_begin(self) -> None:
        """Note when a request begins."""
        super().on_message_begin()
        self._began = self.loop.time()
        self._head = 0
        self._in_head = True
        self._is_whole = True

    def on_headers_complete(self) -> None:
        """Note that the head is there."""
        self._in_head = False
        # What came in one piece, as nearly all do, is not longer than that.
        if not self._is_whole or self._came > self._limits.head:
            fields = sum(len(name) + len(value) for name, value in self.headers)
            self._head = len(self.url) + fields
            if self._head > self._limits.head:
                raise ValueError  # the parser turns it into an error of its own, and that is a 431
        upgrade = self.parser.should_upgrade()
        if upgrade and any(name in BODY_FIELDS for name, _ in self.headers):
            raise ValueError  # as above; the parser would pass over the body
        super().on_headers_complete()
        cycle = self.latest
        if cycle is not None:
            # The cycle writes nothing before the next turn of the loop.
            if self.parser.get_method() != b"HEAD":
                cycle.transport = cast("asyncio.Transport", ResponseBuffer(self.transport))
            if self.is_aged or upgrade:
                cycle.keep_alive = False
        # A client may go on in the protocol that it asked for: the answer is in HTTP/1.1, and
        # the last one (RFC 9110, 7.8).
        self._is_deaf = upgrade

    def on_message_complete(self) -> None:
        """Note that a request is whole."""
        self._began = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or more of it than may be."""
        if self._head > self._limits.head:
            self.refuse_head()
        else:
            self.refuse(400, msg)

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: an upgrade that is not granted is no problem."""

    def refuse_head(self) -> None:
        """Refuse a head that is too long."""
        self.refuse(431, f"the head is larger than {self._limits.head} bytes")

    def refuse(self, code: int, message: str) -> None:
        """Answer with an error, and close.

        What is still coming in is thrown away: to close at once would take the answer
        from a client that is still sending.

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
        self._is_deaf = True
        self.loop.call_later(self._limits.linger, self.transport.close)

    def sweep(self, now: float) -> None:
        """Close the connection if it has kept the server waiting for too long.

        Args:
            now: The loop's time in seconds.
        """
        if self._is_deaf or self.transport.is_closing():
            return
        if self._began is not None and now - self._began > self._limits.request:
            seconds = f"{self._limits.request:g} seconds"
            self.refuse(408, f"the request was not whole after {seconds}")
        elif self.is_quiet and now - self._quiet_since > self._limits.idle:
            self.transport.close()

    @property
    def latest(self) -> RequestResponseCycle | None:
        """The latest request whose head is there."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle

    @property
    def can_answer(self) -> bool:
        """Whether an answer would be the first to its request, and follow that of the last."""
        cycle = self.latest
        if cycle is None:
            return True
        if self._began is None or self._in_head:
            return cycle.response_complete
        return not cycle.response_started

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is in hand, and uvicorn is not waiting for the next request either."""
        return self.latest is None and self._began is None

    @property
    def is_aged(self) -> bool:
        """Whether the request in hand began when the connection was to end already."""
        began = self._began
        return began is not None and began - self._opened > self._limits.age

    def shutdown(self) -> None:
        """End when the request in hand is answered; a quiet connection may still send one."""
        if self._began is not None:
            passed = self.loop.time() - self._began
            self.loop.call_later(self._limits.request - passed, self.give_up)
        elif self.is_quiet:
            self.loop.call_later(self._limits.linger, self.close_if_quiet)
        if self.latest is not None and not self._in_head:
            super().shutdown()

    def give_up(self) -> None:
        """Close the connection if its request still is not whole."""
        if self._began is not None:
            self.transport.close()

    def close_if_quiet(self) -> None:
        """Close the connection if nothing has come in the meantime."""
        if self.is_quiet:
            self.transport.close()


class ResponseBuffer:
    """The transport of one response: sends its head and the first part of its body together.

    That saves a TLS record and a system call. ASGI leaves a server to send the head when the
    body begins (HTTP & WebSocket message format, 2.3). A response to HEAD has no body, and
    must not come here.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Send *data*, or keep it if it is the head."""
        if self._head is None and not data.startswith(INTERIM):
            self._head = data
        else:
            self._transport.write(self._head + data if self._head else data)
            self._head = self._head and b""

    def close(self) -> None:
        """Send what was kept, and close the connection."""
        self._transport.write(self._head or b"")
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or about to be."""
        return self._transport.is_closing()

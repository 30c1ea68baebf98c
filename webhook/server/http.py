"""HTTP/1.1 over TLS or plain TCP: uvicorn's server, with the limits that it leaves open.

uvicorn limits neither the size of a request's head nor the time that a request takes to
arrive, so a few silent connections could block a replica.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NoReturn

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from webhook.server.limits import encode_status

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from webhook.server.certificates import ServingCertificate
    from webhook.server.connections import ConnectionTable

__all__ = ["LIMITS", "ConnectionLimits", "LimitedProtocol", "Port"]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take, and all together.

    Attributes:
        idle: Seconds without a request. Longer than the 90 after which the API server
            closes a connection itself: whichever side closes first may lose a request
            that is on its way.
        age: Seconds after which the connection ends with its next answer. An API server
            keeps a connection for as long as it is used, and would never ask another replica.
        request: Seconds from the first byte of a request to its last.
        linger: Seconds that a connection is kept open once it is to be closed: a request
            may be on its way, or the client not done with sending.
        head: Bytes of a request's head, or in a row between parts of its body.
        fields: Header fields of a request; an API server sends some ten, and each takes more
            memory here than on the wire.
        waiting: Requests that wait for the answer to one before them on their connection, in
            all; each takes 3 KB. API servers, kubelets and Prometheus send none.
        connections: Connections at once, in all; one address may have half of them. Each takes
            up to 0.35 MB with TLS, so all of them less than half of the chart's 256 MiB. Three
            API servers keep 75.
        unread: Bytes of answers that clients have not read yet, in all.
    """

    idle: int = 120
    age: float = 30.0
    request: float = 10.0
    linger: float = 1.0
    head: int = 64 * 1024
    fields: int = 100
    waiting: int = 4096
    connections: int = 300
    unread: int = 16 * 1024 * 1024


LIMITS: Final = ConnectionLimits()
VERSIONS: Final = ("1.0", "1.1")


class LimitedProtocol(HttpToolsProtocol):
    """One connection, from when it is accepted: with limits on what it may send and hold.

    Attributes:
        address: The address of the client.
        active_at: When it was last heard or answered, in the time of the loop.
        ignores_input: Whether what arrives is thrown away.
    """

    def __init__(self, *args: Any, port: Port, address: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.address = address
        self._port = port
        self._limits = port.limits
        self._opened = self.active_at = self.loop.time()
        self._opening: asyncio.Task[None] | None = None
        self._is_established = False
        # Why the client may not send reviews, by its certificate.
        self._forbidden = ""
        # When the request that is arriving began; None if it is complete.
        self._began: float | None = None
        self._in_head = False
        # Bytes since the last one of a body, or of a head that is complete.
        self._unused = 0
        self._ignores_upgrade = False
        # What is wrong with the request that is arriving, if not its syntax.
        self._problem: tuple[int, str] | None = None
        # The last answer, which waits for those ahead of it.
        self._refusal = b""
        self.ignores_input = False
        self._is_ending = False
        # Since when the client reads nothing of what is sent to it.
        self._stalled_at: float | None = None

    def open(self, accepted: socket.socket) -> asyncio.Task[None]:
        """Begin to serve an accepted socket, with TLS if the port has a certificate."""
        self._opening = self.loop.create_task(self._open(accepted))
        return self._opening

    def abort(self) -> None:
        """Close the connection at once."""
        if self._is_established:
            self.transport.abort()
        elif self._opening is not None:
            self._opening.cancel()

    @property
    def is_busy(self) -> bool:
        """Whether a request is complete, and its answer is not."""
        return (
            self._began is None
            and self._latest is not None
            and not self._latest.response_complete
            and self._stalled_at is None
        )

    @property
    def unread(self) -> int:
        """Bytes that the client has not read yet."""
        return self.transport.get_write_buffer_size() if self._is_established else 0

    @property
    def stalled_at(self) -> float | None:
        """Since when the client reads nothing, if it has much to read."""
        return self._stalled_at

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve, as soon as TLS is established."""
        super().connection_made(transport)
        self._is_established = True
        self._writer = _AnswerWriter(self)
        if self._port.certificate is not None:
            peer = transport.get_extra_info("peercert")
            self._forbidden = self._port.certificate.find_client_problem(peer)
            if self._forbidden:
                self._port.on_closing("certificate", self.address, self._forbidden)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the connection; uvicorn's timer would hold one that was reset for minutes."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._port.table.discard(self)
        # They refer to each other: without this, a closed connection would keep its memory until
        # the garbage collector comes, which is seldom.
        self.cycle = None  # type: ignore[assignment]
        del self._writer

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and refuse what is too much before it is complete."""
        if self.ignores_input:
            return
        self._unset_keepalive_if_required()
        self.active_at = self.loop.time()
        self._unused += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except HttpParserError as error:
            self.refuse(*(self._problem or (400, f"this is no HTTP request: {error}")))
        else:
            if self._began is not None:
                self._check_size()

    def on_message_begin(self) -> None:
        """Note when a request begins."""
        super().on_message_begin()
        self._began = self._began or self.loop.time()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is not allowed."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            return  # the parser stops here, and `_ignore_upgrade` has it go on
        self._check_head()
        if self.pipeline and self._port.count_waiting() >= self._limits.waiting:
            self._reject(400, "too many requests before the answers to others")
        super().on_headers_complete()
        self.cycle.transport = self._writer  # type: ignore[assignment]
        self.headers = []  # fields of a trailer are ignored (RFC 9110, 6.5.1)
        self._in_head = False
        self._unused = 0
        if self._ignores_upgrade or self.loop.time() - self._opened > self._limits.age:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        if self._in_head:
            return
        self._began = None
        self._unused = 0
        super().on_message_complete()
        # The client may go on in the protocol that it asked for.
        self.ignores_input = self._ignores_upgrade

    def on_response_complete(self) -> None:
        """Begin with the next request, or refuse it."""
        self.active_at = self.loop.time()
        if self._is_ending:
            self.pipeline.clear()
            return
        is_last = not self.pipeline
        super().on_response_complete()
        if is_last and self._refusal:
            self._send_refusal()

    def refuse(self, code: int, message: str) -> None:
        """Answer the request that is arriving with an error, after those before it, and close."""
        if self.ignores_input:
            return
        self.ignores_input = True
        if self._in_head:
            self.headers.clear()
        body = encode_status(code, message)
        head = (
            f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self._refusal = head.encode() + body
        cycle = self._latest
        if self._began is not None and not self._in_head and cycle is not None:
            if self.pipeline:
                self.pipeline.popleft()  # it waits for the one before it
                return
            if cycle.response_started:
                self._refusal = b""
            cycle.disconnected = True
            cycle.message_event.set()
        elif cycle is not None and not cycle.response_complete:
            return
        self._send_refusal()

    def end(self) -> None:
        """Close the connection after its last answer.

        Closing at once would take the answer from a client that is still sending (RFC 9112, 9.6).
        TLS has an end of its own; without it, the client has some time to end its side.
        """
        self.ignores_input = self._is_ending = True
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(self._limits.linger, self.transport.close)
        else:
            self.transport.close()

    def enforce_times(self, now: float) -> None:
        """End what takes too long: a request, its answer, or a connection that is never used.

        Args:
            now: The loop's time in seconds.
        """
        most = self._limits.request
        if self._stalled_at is not None and now - self._stalled_at > most:
            self._port.on_closing("unread", self.address, "the client does not read its answer")
            self.transport.abort()
        elif self.transport.is_closing():
            if now - self.active_at > most + self._limits.linger:
                self.transport.abort()
        elif self._began is not None and now - self._began > most:
            self.refuse(408, f"the request was not complete after {most:g} seconds")
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

    def pause_writing(self) -> None:
        """Note that the client does not read, and bound what all clients leave unread."""
        super().pause_writing()
        self._stalled_at = self.loop.time()
        self._port.limit_unread()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        super().resume_writing()
        self._stalled_at = None

    async def _open(self, accepted: socket.socket) -> None:
        options: dict[str, Any] = {}
        if self._port.certificate is not None:
            options = {
                "ssl": self._port.certificate.context,
                "ssl_handshake_timeout": self._limits.request,
                "ssl_shutdown_timeout": self._limits.request,
            }
        try:
            await self.loop.connect_accepted_socket(lambda: self, accepted, **options)
        except OSError as error:
            problem = (getattr(error, "reason", "") or str(error)).replace("_", " ").lower()
            self._port.on_closing("handshake", self.address, problem or "the client went away")
        finally:
            if not self._is_established:
                self._port.table.discard(self)

    def _check_size(self) -> None:
        """Refuse a request that is too large before its head or its body is complete."""
        if self._unused > self._limits.head:
            self.refuse(431, f"the head is larger than {self._limits.head} bytes")
        elif len(self.headers) > self._limits.fields:
            self.refuse(431, f"the head has more than {self._limits.fields} fields")

    def _check_head(self) -> None:
        """Reject a head that is valid by its syntax, but not allowed."""
        # What arrived may hold a part of the body, too.
        if self._unused > self._limits.head and self._measure_head() > self._limits.head:
            self._reject(431, f"the head is larger than {self._limits.head} bytes")
        if len(self.headers) > self._limits.fields:
            self._reject(431, f"the head has more than {self._limits.fields} fields")
        version = self.parser.get_http_version()
        if version not in VERSIONS:
            self._reject(505, f"HTTP/{version} is not supported")
        hosts = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
                self._reject(501, "the only supported transfer coding is chunked")  # RFC 9112, 6.1
        if hosts != 1 and (hosts > 1 or version == "1.1"):
            self._reject(400, f"there must be one Host field, not {hosts}")  # RFC 9112, 3.2
        if b"#" in self.url:
            self._reject(400, "the request target has a fragment")
        if self._forbidden:
            self._reject(403, self._forbidden)

    def _measure_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _reject(self, code: int, message: str) -> NoReturn:
        """Have the parser stop, and `data_received` refuse the request."""
        self._problem = (code, message)
        raise ValueError(message)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read the request again without its field Upgrade, as RFC 9110, 7.8 permits.

        The parser takes whatever follows an Upgrade for the other protocol, even a body.
        """
        self._ignores_upgrade = True
        line = b"%s %s HTTP/%s\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        fields = [b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = HttpRequestParser(self)
        self.data_received(line + b"".join(fields) + b"\r\n" + rest)

    def _send_refusal(self) -> None:
        """Send the last answer, and close when the client had time to read it.

        Whatever still arrives is thrown away: closing at once would take the answer from a
        client that is still sending.
        """
        if self._refusal and not self.transport.is_closing():
            self.transport.write(self._refusal)
            if self.transport.can_write_eof():
                self.transport.write_eof()
        self.loop.call_later(self._limits.linger, self.transport.close)

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
    def _is_unused(self) -> bool:
        """Whether no request has come; after the first one uvicorn closes idle connections."""
        return self._latest is None and self._began is None


class _AnswerWriter:
    """What uvicorn writes an answer to; it closes the connection as the protocol does."""

    def __init__(self, protocol: LimitedProtocol) -> None:
        self._protocol = protocol
        self.write = protocol.transport.write
        self.close = protocol.end

    def is_closing(self) -> bool:
        """Return whether no more is read: then uvicorn asks for no body with 100 Continue."""
        return self._protocol.ignores_input or self._protocol.transport.is_closing()


@dataclass(frozen=True, slots=True)
class Port:
    """What the connections of one port share.

    Attributes:
        limits: Limits of each connection, and of all.
        table: The connections.
        certificate: For TLS; None for plain HTTP.
        on_closing: Is called with a reason, the client's address and a sentence when a
            connection is closed or refused.
    """

    limits: ConnectionLimits
    table: ConnectionTable[LimitedProtocol]
    certificate: ServingCertificate | None
    on_closing: Callable[[str, str, str], None]

    def count_waiting(self) -> int:
        """Return how many requests wait for the answer to one before them."""
        return sum(len(each.pipeline) for each in self.table)

    def limit_unread(self) -> None:
        """Close the connections that have not been read for longest, if there is too much."""
        stalled = [each for each in self.table if each.stalled_at is not None]
        stalled.sort(key=lambda each: each.stalled_at or 0.0)
        held = sum(each.unread for each in stalled)
        for each in stalled:
            if held <= self.limits.unread:
                break
            held -= each.unread
            self.on_closing("unread", each.address, "too much waits for clients that do not read")
            each.abort()

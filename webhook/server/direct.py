"""Answering on a connection what needs no application: a review that is as nearly all are.

For an application uvicorn makes a scope, a cycle, an event and a task, and has two messages
sent. That is as much work again as reading a review and answering it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webhook.server.heads import known_head
from webhook.server.protocol import GuardedProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from webhook.server.heads import Answerer, KnownHead

    # From target and header of a request by POST to who answers its body; None for the
    # application to do it.
    AtOnce = Callable[[bytes, Sequence[tuple[bytes, bytes]]], Answerer | None]

__all__ = ["DirectProtocol"]

# More than that is taken in by the application, which bounds it all together.
MAX_BODY: Final = 64 * 1024
MAX_WAITING: Final = 128
ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)


class DirectProtocol(GuardedProtocol):
    """One connection, on which most requests are answered without the application.

    Args:
        at_once: Says who answers, or leaves a request to the application.
        waiting: The connections of one server that wait for the rest of a body.
    """

    def __init__(
        self, *args: Any, at_once: AtOnce, waiting: set[DirectProtocol], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._at_once = at_once
        self._waiting = waiting
        self._answer: Answerer | None = None
        self._body = b""
        self._known: KnownHead | None = None
        # Who answered the latest message, where the application did not.
        self._answered_by: Answerer | None = None
        # Whether what is parsed next was left to the application already.
        self._is_tried = False
        self._fields: list[tuple[bytes, bytes]] = []
        self._written = b""

    def data_received(self, data: bytes) -> None:
        """Take what came in; who is to wait for more is the application's when many do."""
        if self._answered(data):
            return
        is_start = self._began is None
        self._answered_by = None
        super().data_received(data)
        self._is_tried = False
        if self._answer is not None:
            self._waiting.add(self)
            if len(self._waiting) > MAX_WAITING:
                self._leave_to_application()
        elif is_start and self._answered_by is not None and self.is_quiet:
            self._known = known_head(data, self._answered_by)

    def _answered(self, data: bytes) -> bool:
        """Answer a request whose head is known, past the parser; say whether that was one."""
        known = self._known
        if known is None or not self.is_quiet or self.flow.write_paused:
            return False
        now = self.loop.time()
        body = known.body_of(data) if now - self._opened <= self._limits.age else None
        if body is None or len(body) > MAX_BODY:
            return False
        content = known.answer(body)
        if content is None:
            self._is_tried = True
            return False
        self._quiet_since = now
        self._write(content)
        return True

    def begin(self) -> None:
        """Wait for the body before anything is made for the request, where that may be enough."""
        answer = self._at_once(self.url, self.headers) if self._may_be_direct() else None
        if answer is None:
            super().begin()
            return
        # uvicorn has nothing in hand, and is not to look at what it had.
        self.cycle = None  # type: ignore[assignment]
        self._answer = answer
        self._body = b""

    def _may_be_direct(self) -> bool:
        parser, latest = self.parser, self.latest
        return (
            not self._is_tried
            and (latest is None or latest.response_complete)
            and parser.get_method() == b"POST"
            and parser.should_keep_alive()
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.is_aged
        )

    def on_body(self, body: bytes) -> None:
        """Take in a part of a body."""
        if self._answer is None:
            super().on_body(body)
            return
        self._body = self._body + body if self._body else body
        if len(self._body) > MAX_BODY:
            self._leave_to_application()

    def on_message_complete(self) -> None:
        """Answer what is whole."""
        answer = self._answer
        if answer is not None:
            content = answer(self._body)
            if content is not None:
                self._forget()
                self._answered_by = answer
                self.note_quiet()
                self._write(content)
                return
            self._leave_to_application()
        super().on_message_complete()

    def refuse(self, code: int, message: str) -> None:
        """Answer with an error, and close."""
        self._forget()
        self._known = None
        super().refuse(code, message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was in hand."""
        self._forget()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End as any connection does: a request in hand is the application's from now on."""
        if self._answer is not None:
            self._leave_to_application()
        super().shutdown()

    def _write(self, content: bytes) -> None:
        fields = self.server_state.default_headers
        # uvicorn makes them anew each second, for the date.
        if fields is not self._fields:
            self._fields = fields
            self._written = b"".join([b"%b: %b\r\n" % field for field in fields])
        self.transport.write(ANSWER % (self._written, len(content), content))

    def _leave_to_application(self) -> None:
        """Have the application take up a request with what of its body is there."""
        body = self._body
        self._forget()
        super().begin()
        if body:
            super().on_body(body)

    def _forget(self) -> None:
        self._answer = None
        self._body = b""
        self._waiting.discard(self)

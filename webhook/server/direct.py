"""
Answering on a connection what needs no application: a review that is as nearly all are.

For an application uvicorn makes a scope, a cycle, an event and a task, and has two messages
sent. That is as much work again as reading a review and answering it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webhook.server.protocol import GuardedProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # From target, header and body of a request by POST to the content of its answer, which
    # is JSON; None for the application to answer.
    AtOnce = Callable[[bytes, Sequence[tuple[bytes, bytes]], bytes], bytes | None]

__all__ = ["DirectProtocol"]

# More than that is taken in by the application, which bounds it all together.
MAX_BODY: Final = 64 * 1024
MAX_WAITING: Final = 128
ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)


class DirectProtocol(GuardedProtocol):
    """
    One connection, on which most requests are answered without the application.

    Args:
        at_once: Answers, or leaves a request to the application.
        waiting: The connections of one server that wait for the rest of a body.
    """

    def __init__(
        self, *args: Any, at_once: AtOnce, waiting: set[DirectProtocol], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._at_once = at_once
        self._waiting = waiting
        self._awaits_body = False
        self._body = b""

    def data_received(self, data: bytes) -> None:
        """
        Take what came in; who is to wait for more is the application's when many do.
        """
        super().data_received(data)
        if self._awaits_body:
            self._waiting.add(self)
            if len(self._waiting) > MAX_WAITING:
                self._leave_to_application()

    def begin(self) -> None:
        """
        Wait for the body before anything is made for the request, where that may be enough.
        """
        if self._may_be_direct():
            # uvicorn has nothing in hand, and is not to look at what it had.
            self.cycle = None  # type: ignore[assignment]
            self._awaits_body = True
            self._body = b""
        else:
            super().begin()

    def _may_be_direct(self) -> bool:
        parser, latest = self.parser, self.latest
        return (
            (latest is None or latest.response_complete)
            and parser.get_method() == b"POST"
            and parser.should_keep_alive()
            and parser.get_http_version() == "1.1"
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.is_aged
        )

    def on_body(self, body: bytes) -> None:
        """
        Take in a part of a body.
        """
        if not self._awaits_body:
            super().on_body(body)
            return
        self._body = self._body + body if self._body else body
        if len(self._body) > MAX_BODY:
            self._leave_to_application()

    def on_message_complete(self) -> None:
        """
        Answer what is whole.
        """
        if self._awaits_body:
            content = self._at_once(self.url, self.headers, self._body)
            if content is not None:
                self._forget()
                self.note_quiet()
                self._write(content)
                return
            self._leave_to_application()
        super().on_message_complete()

    def refuse(self, code: int, message: str) -> None:
        """
        Answer with an error, and close.
        """
        self._forget()
        super().refuse(code, message)

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Forget what was in hand.
        """
        self._forget()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """
        End as any connection does: a request in hand is the application's from now on.
        """
        if self._awaits_body:
            self._leave_to_application()
        super().shutdown()

    def _write(self, content: bytes) -> None:
        fields = b"".join(
            [b"%b: %b\r\n" % field for field in self.server_state.default_headers]
        )
        self.transport.write(ANSWER % (fields, len(content), content))

    def _leave_to_application(self) -> None:
        """
        Have the application take up a request with what of its body is there.
        """
        body = self._body
        self._forget()
        super().begin()
        if body:
            super().on_body(body)

    def _forget(self) -> None:
        self._awaits_body = False
        self._body = b""
        self._waiting.discard(self)

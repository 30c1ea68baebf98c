"""Taking in the bodies of reviews, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.server.refusal import RefusalError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

__all__ = ["JSON_FIELD", "DisconnectedError", "Intake"]

# Two objects of 3 MiB, which is what the API server takes, and one for the rest.
MAX_BODY: Final = 7 * 1024 * 1024
# What all requests in hand may hold together, within the memory of a small replica.
MAX_BUFFERED: Final = 64 * 1024 * 1024
MAX_IN_HAND: Final = 512

JSON: Final = b"application/json"
JSON_FIELD: Final = (b"content-type", JSON)
RETRY_FIELD: Final = (b"retry-after", b"1")


class DisconnectedError(Exception):
    """The client went away before its request was whole."""


class Intake:
    """Reads bodies, and knows how many are being read."""

    def __init__(self) -> None:
        self._in_hand = 0
        self._buffered = 0

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of a request.

        Raises:
            RefusalError: It is too large, no JSON, or too much at once.
            DisconnectedError: The client went away before it was whole.
        """
        headers = dict(scope["headers"])
        if int(headers.get(b"content-length", b"0")) > MAX_BODY:
            raise too_large()
        content_type = headers.get(b"content-type", b"")
        if content_type != JSON and mime_type(content_type) != JSON:
            shown = content_type.decode("latin-1")
            raise RefusalError(415, f"content type is {shown!r}, not application/json")
        if self._in_hand >= MAX_IN_HAND:
            raise overloaded()
        self._in_hand += 1
        try:
            message = await receive()
            if message.get("more_body"):
                return await self._joined(message.get("body", b""), receive)
        finally:
            self._in_hand -= 1
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        body: bytes = message.get("body", b"")
        if len(body) > MAX_BODY:
            raise too_large()
        return body

    async def _joined(self, first: bytes, receive: Receive) -> bytes:
        """Return a body that comes in parts; all of those together are bounded as well."""
        parts = []
        size = 0
        part, more = first, True
        try:
            while True:
                parts.append(part)
                size += len(part)
                self._buffered += len(part)
                if size > MAX_BODY:
                    raise too_large()
                if self._buffered > MAX_BUFFERED:
                    raise overloaded()
                if not more:
                    return b"".join(parts)
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise DisconnectedError
                part, more = message.get("body", b""), message.get("more_body", False)
        finally:
            self._buffered -= size


def mime_type(content_type: bytes) -> bytes:
    """Return a content type without its parameters."""
    return content_type.partition(b";")[0].strip().lower()


def too_large() -> RefusalError:
    """Return the refusal of a body that is too large."""
    return RefusalError(413, f"the body is larger than {MAX_BODY} bytes")


def overloaded() -> RefusalError:
    """Return the refusal for want of room: the API server tries again in its deadline."""
    return RefusalError(503, "too many reviews at once; try again", RETRY_FIELD)

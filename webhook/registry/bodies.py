"""The bodies of requests and answers: bounded, or never in memory as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

__all__ = ["MAX_BODY", "Stream", "TooLargeError", "body_of", "length_of", "parts", "whole"]

# The largest manifest that registries have to take (distribution-spec).
MAX_BODY: Final = 4 * 1024 * 1024
PIECE: Final = 64 * 1024


class TooLargeError(Exception):
    """A body larger than any that is wanted."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is not in memory; it can be sent once.

    Attributes:
        size: Its bytes.
        parts: The body, as it comes.
    """

    size: int
    parts: AsyncIterator[bytes]


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    """Yield a body a piece at a time, so that each has its own time to be sent."""
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]


def body_of(content: bytes | Stream) -> AsyncIterator[bytes] | None:
    """Return a body in pieces; None for none."""
    if isinstance(content, Stream):
        return content.parts
    return pieces(content) if content else None


def length_of(content: bytes | Stream) -> dict[str, str]:
    """Return the header that tells the length of a body; without it, pieces have none."""
    size = content.size if isinstance(content, Stream) else len(content)
    return {"Content-Length": str(size)} if size else {}


def parts(response: httpx.Response) -> AsyncIterator[bytes]:
    """Return the body of an answer as it comes."""
    return aiter(cast("httpx.AsyncByteStream", response.stream))


async def whole(response: httpx.Response) -> bytes:
    """Return the body of an answer.

    Raises:
        TooLargeError: It is larger than any that is wanted.
        httpx.HTTPError: It breaks off.
    """
    body = b""
    async for part in parts(response):
        body += part
        if len(body) > MAX_BODY:
            raise TooLargeError
    return body

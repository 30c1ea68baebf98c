"""Requests to registries with bodies that are sent and read as they come."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from webhook.registry.client import translate_errors
from webhook.registry.responses import read_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from webhook.core import ImageReference
    from webhook.registry import RegistryClient

__all__ = ["Call", "Client", "Opened", "Reply", "Stream"]

PIECE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is not in memory; it can be sent once.

    Attributes:
        size: Its bytes.
        parts: The body, as it comes.
    """

    size: int
    parts: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Call:
    """A request for something of a repository.

    Attributes:
        method: The HTTP method.
        reference: An image of the repository.
        to: A path below the repository, or an address that a response has given.
        headers: Headers.
        query: Parameters to be added to the address.
        content: The body.
        also: Another repository of the registry that has to be read for it.
        silence: Seconds that a host may take for each step; None for any time.
    """

    method: str
    reference: ImageReference
    to: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    content: bytes | Stream = b""
    also: str = ""
    silence: float | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A response with its body still to come.

    Attributes:
        status: The HTTP status.
        headers: Headers, by names whose case does not matter.
        parts: The body, as it comes.
    """

    status: int
    headers: Mapping[str, str]
    parts: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response.

    Attributes:
        status: The HTTP status.
        headers: Headers, by names whose case does not matter.
        body: The body.
        location: The address in the header ``Location``; empty without one.
        following: The address of the next page, in the header ``Link``; empty without one.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    location: str
    following: str


class Client:
    """Sends the requests of a transfer.

    Args:
        registry: Sends them, with redirects and credentials.
    """

    def __init__(self, registry: RegistryClient) -> None:
        self._registry = registry

    async def fetch(self, call: Call) -> Reply:
        """Return the response to a request, with its whole body.

        Raises:
            RegistryError: There is none.
        """
        content = _Pieces(call.content) if isinstance(call.content, bytes) else call.content.parts
        async with self._open(call, content) as response:
            body = await read_body(response)
            location = response.headers.get("Location", "")
            following = response.links.get("next", {}).get("url", "")
            return Reply(
                response.status_code,
                response.headers,
                body,
                str(response.url.join(location)) if location else "",
                str(response.url.join(following)) if following else "",
            )

    @asynccontextmanager
    async def open(self, call: Call) -> AsyncIterator[Opened]:
        """Give the response to a request, whose body is read within the block.

        Raises:
            RegistryError: There is none, or its body breaks off.
        """
        async with self._open(call, _Pieces(b"")) as response:
            parts = _translated(cast("AsyncIterable[bytes]", response.stream))
            yield Opened(response.status_code, response.headers, parts)

    async def close(self) -> None:
        """Close every connection."""
        await self._registry.close()

    def _open(self, call: Call, content: AsyncIterable[bytes]) -> AbstractAsyncContextManager[Any]:
        size = len(call.content) if isinstance(call.content, bytes) else call.content.size
        return self._registry.open(
            call.method,
            call.reference,
            call.to,
            params=call.query,
            headers={**call.headers, "Content-Length": str(size)} if size else call.headers,
            content=content if size else None,
            timeout=call.silence,
            also=call.also,
        )


class _Pieces:
    """A body that is sent a piece at a time, so that each has its own time."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), PIECE):
            yield self._content[start : start + PIECE]


async def _translated(parts: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    with translate_errors():
        async for part in parts:
            yield part

"""Sending a blob to a registry, in chunks (`pushing`_).

A chunk that was lost on the way is sent again, and no other: the registry says how far
it has come. Only one chunk is in memory.

.. _pushing: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
"""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

from webhook.transfer.client import Stream
from webhook.transfer.errors import TransferError, WrongContentError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from webhook.transfer.client import Reply
    from webhook.transfer.content import Descriptor
    from webhook.transfer.line import Line

__all__ = ["CHUNK", "Upload", "begun"]

# Bytes; some registries refuse less than 5 MiB, save for the last.
CHUNK: Final = 8 * 1024 * 1024
LARGEST_CHUNK: Final = 64 * 1024 * 1024
UPLOADS: Final = "blobs/uploads/"
BYTES: Final = {"Content-Type": "application/octet-stream"}

CREATED: Final = 201
ACCEPTED: Final = 202
NO_CONTENT: Final = 204
OUT_OF_ORDER: Final = 416
# Of the method and the shape of a request, not of what is sent.
UNABLE: Final = frozenset({405, 411, 415, 501})


class LostUploadError(TransferError):
    """An upload that cannot go on, and has to begin anew."""


class NoChunksError(TransferError):
    """A registry that takes a blob as a whole only."""


async def begun(line: Line, digest: str, home: str = "") -> Upload | None:
    """Begin to send a blob; None where the registry has mounted it instead.

    Args:
        line: The way to the repository.
        digest: The blob.
        home: A repository of the registry that has it; empty if none is known.

    Raises:
        TransferError: The registry does not take it.
    """
    if home:
        query = {"mount": digest, "from": home}
        reply = await line.fetch("POST", UPLOADS, query=query, also=home)
        if reply.status == CREATED:
            return None
        if reply.status == ACCEPTED:
            return Upload(line, reply)
    reply = await line.fetch("POST", UPLOADS)
    if reply.status != ACCEPTED:
        raise line.refused("POST", UPLOADS, reply)
    return Upload(line, reply)


class Upload:
    """A blob that is being sent.

    Args:
        line: The way to the repository.
        reply: The answer that the upload began with.
    """

    def __init__(self, line: Line, reply: Reply) -> None:
        self._line = line
        self._location = ""
        self._offset = 0
        self._go_on_at(reply)
        least = reply.headers.get("OCI-Chunk-Min-Length", "")
        wanted = int(least) if least.isdecimal() else 0
        self._chunk = min(max(CHUNK, wanted), LARGEST_CHUNK)

    async def send(
        self,
        blob: Descriptor,
        parts: AsyncGenerator[bytes, None],
        moved: Callable[[int], None],
    ) -> None:
        """Send a blob to its end.

        Args:
            blob: The blob.
            parts: Its content; where that raises an error, nothing is left of it.
            moved: Is told how many bytes were sent.

        Raises:
            TransferError: The registry does not take it, or *parts* raised it.
        """
        try:
            await self._send(blob, parts, moved)
        except WrongContentError:
            with suppress(TransferError):
                await self._line.fetch("DELETE", self._location)
            raise

    async def _send(
        self,
        blob: Descriptor,
        parts: AsyncGenerator[bytes, None],
        moved: Callable[[int], None],
    ) -> None:
        last = b""
        async with aclosing(regrouped(parts, self._chunk)) as chunks:
            async for chunk in chunks:
                if len(chunk) < self._chunk:
                    last = chunk
                    continue
                try:
                    await self._patch(chunk, moved)
                except NoChunksError:
                    await self._send_whole(blob, chunk, chunks, moved)
                    return
        if last and self._offset:
            await self._patch(last, moved)
            last = b""
        await self._end(blob.digest, last)
        moved(len(last))

    async def _patch(self, content: bytes, moved: Callable[[int], None]) -> None:
        """Send a chunk, as often as it takes."""
        failures, end = 0, self._offset + len(content)
        while self._offset < end:
            rest = content[len(content) - (end - self._offset) :]
            try:
                await self._patch_once(rest)
                moved(len(rest))
            except TransferError as error:
                failures += 1
                await self._line.patience.wait(failures, error)
                before = self._offset
                await self._find_out(before, end)
                moved(self._offset - before)

    async def _patch_once(self, content: bytes) -> None:
        last = self._offset + len(content) - 1
        headers = {**BYTES, "Content-Range": f"{self._offset}-{last}"}
        reply = await self._line.fetch("PATCH", self._location, headers, content=content)
        if reply.status == OUT_OF_ORDER:
            raise TransferError("the chunk is out of order", is_transient=True)
        if reply.status in UNABLE and not self._offset:
            raise NoChunksError(str(self._line.refused("PATCH", self._location, reply)))
        if reply.status != ACCEPTED:
            raise self._line.refused("PATCH", self._location, reply)
        self._go_on_at(reply)
        self._offset = last + 1

    async def _send_whole(
        self,
        blob: Descriptor,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        moved: Callable[[int], None],
    ) -> None:
        """Send a blob in one request, from its *first* bytes on, which are in memory."""

        async def parts() -> AsyncGenerator[bytes, None]:
            yield first
            moved(len(first))
            async for part in rest:
                yield part
                moved(len(part))

        reply = await self._line.fetch("POST", UPLOADS)
        if reply.status != ACCEPTED:
            raise self._line.refused("POST", UPLOADS, reply)
        self._go_on_at(reply)
        await self._end(blob.digest, Stream(blob.size, parts()))

    async def _find_out(self, least: int, most: int) -> None:
        """Ask how far the registry has come, and go on there."""
        reply = await self._line.patience.retried(lambda: self._line.fetch("GET", self._location))
        received = received_of(reply.headers.get("Range", ""))
        if reply.status != NO_CONTENT or not least <= received <= most:
            what = self._line.what("GET", self._location)
            raise LostUploadError(f"{what}: the upload is lost", is_transient=True)
        self._go_on_at(reply)
        self._offset = received

    async def _end(self, digest: str, content: bytes | Stream) -> None:
        query = {"digest": digest}
        reply = await self._line.fetch("PUT", self._location, BYTES, query, content)
        if reply.status != CREATED:
            raise self._line.refused("PUT", self._location, reply)

    def _go_on_at(self, reply: Reply) -> None:
        if reply.location:
            self._location = reply.location
        if not self._location:
            raise TransferError(
                f"{self._line.what('POST', UPLOADS)}: the registry names no place to send it to"
            )


async def regrouped(parts: AsyncGenerator[bytes, None], size: int) -> AsyncGenerator[bytes, None]:
    """Yield the same bytes in chunks of one size, of which only the last may be shorter."""
    held = bytearray()
    async with aclosing(parts):
        async for part in parts:
            held += part
            while len(held) >= size:
                yield bytes(held[:size])
                del held[:size]
    if held:
        yield bytes(held)


def received_of(text: str) -> int:
    """Return how many bytes an answer says are there: ``0-99`` are a hundred.

    Where none is, registries write ``0-0``, which could be one as well.
    """
    last = text.removeprefix("bytes=").partition("-")[2]
    return int(last) + 1 if last.isdecimal() and last != "0" else 0

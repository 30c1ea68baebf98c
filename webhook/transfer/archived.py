"""An image in an archive, to be read and written."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from webhook.core.reference import is_digest
from webhook.transfer.archive import pieces
from webhook.transfer.content import parse_manifest
from webhook.transfer.download import Download
from webhook.transfer.errors import TransferError, WrongContentError
from webhook.transfer.store import Arrival, Received

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from webhook.core import ImageReference
    from webhook.transfer.archive import Archive
    from webhook.transfer.content import Descriptor, Manifest
    from webhook.transfer.patience import Patience
    from webhook.transfer.store import Store

__all__ = ["ArchivedImage"]


class ArchivedImage:
    """An image in an archive.

    Args:
        archive: The archive.
        reference: The name of the image there.
        patience: How often is tried to go on with a blob.
        locks: Keeps two images from writing the same blob at once.
    """

    is_partial = True

    def __init__(
        self,
        archive: Archive,
        reference: ImageReference,
        patience: Patience,
        locks: dict[str, asyncio.Lock],
    ) -> None:
        self._archive = archive
        self._reference = reference
        self._patience = patience
        self._locks = locks

    def __str__(self) -> str:
        return str(self._archive.folder)

    async def digest_of(self, name: str) -> str:
        """Return the digest of what goes by a name; empty if nothing does."""
        if is_digest(name):
            return name if self._archive.has(name) else ""
        for reference, entry in self._archive.images():
            if reference.name == self._reference.name and reference.tag == name:
                return entry.digest
        return ""

    async def manifest(self, name: str) -> Manifest:
        """Return what goes by a name, checked against its digest."""
        digest = await self.digest_of(name)
        if not digest:
            raise TransferError(f"{self}: there is no {name} of {self._reference.name}")
        content = self._archive.read(digest)
        return parse_manifest(content, "", digest, str(self._archive.path(digest)))

    @asynccontextmanager
    async def blob(
        self, blob: Descriptor, offset: int
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Give a blob from a byte on, and the content."""
        yield offset, self._pieces(blob, offset)

    async def _pieces(self, blob: Descriptor, offset: int) -> AsyncIterator[bytes]:
        try:
            for piece in pieces(self._archive.path(blob.digest), offset):
                yield piece
        except OSError as error:
            raise self._archive.failure(blob.digest, error) from None

    async def referrers(self, digest: str) -> list[Descriptor]:
        """Return the manifests whose subject has a digest."""
        return [
            entry
            for entry in self._archive.entries
            if self._archive.has(entry.digest)
            and (await self.manifest(entry.digest)).subject == digest
        ]

    async def has_blob(self, blob: Descriptor) -> bool:
        """Say whether a blob is here."""
        return self._archive.has(blob.digest)

    async def receive(
        self, blob: Descriptor, source: Store, moved: Callable[[int], None]
    ) -> Received:
        """Take a blob from another store; what an earlier run has left of it is used."""
        async with self._locks.setdefault(blob.digest, asyncio.Lock()):
            if self._archive.has(blob.digest):
                moved(blob.size)
                return Received(Arrival.PRESENT, blob.size)
            path = self._archive.path(blob.digest)
            partial = path.with_name(f"{path.name}.partial")
            try:
                partial.parent.mkdir(parents=True, exist_ok=True)
                partial.touch()
                sent = await self._written(partial, blob, source, moved)
                partial.replace(path)
            except WrongContentError:
                partial.unlink(missing_ok=True)
                raise
            except OSError as error:
                raise self._archive.failure(blob.digest, error) from None
        return Received(Arrival.SENT, blob.size, sent)

    async def _written(
        self,
        partial: Path,
        blob: Descriptor,
        source: Store,
        moved: Callable[[int], None],
    ) -> int:
        download = Download(source, blob, self._patience, pieces(partial))
        moved(download.offset)
        known = download.offset
        with partial.open("ab") as file:
            async with aclosing(download.parts()) as parts:
                async for part in parts:
                    file.write(part)
                    moved(len(part))
        return blob.size - known

    async def put_manifest(self, manifest: Manifest, name: str) -> None:  # noqa: ARG002
        """Keep a manifest; it gets its name when the image is whole."""
        self._archive.write(manifest.digest, manifest.content)

    async def add_referrer(self, referrer: Manifest) -> None:
        """List a manifest, without a name: its subject says what it belongs to."""
        self._archive.add(referrer, None)

    async def finish(self, root: Manifest) -> None:
        """List the image."""
        self._archive.add(root, self._reference)

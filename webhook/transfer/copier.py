"""Copying one image: blobs before the manifests that name them, these before their index."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from webhook.core.reference import is_digest
from webhook.registry.responses import list_platforms
from webhook.transfer.content import index_of
from webhook.transfer.download import Download
from webhook.transfer.errors import SparseIndexError, TransferError
from webhook.transfer.platforms import chosen, lacking, names_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhook.core import Platform
    from webhook.transfer.content import Descriptor, Manifest
    from webhook.transfer.patience import Patience
    from webhook.transfer.store import Received, Store

__all__ = ["Copied", "Copier", "Watcher"]

# It is read into memory, and no real one comes near it.
MAX_CONFIG: Final = 4 * 1024 * 1024


class Watcher(Protocol):
    """Who is told how far it is: a progress bar."""

    def planned(self, size: int) -> None:
        """Note that blobs of so many bytes have to be at the target."""

    def moved(self, size: int) -> None:
        """Note that so many bytes are; less than 0 if they have to come again."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of an image that is at its target now.

    Attributes:
        digest: The digest at the target.
        size: The bytes of all its blobs.
        platforms: What it is for, as far as an index says.
        blobs: Its blobs that had to be looked for.
        written: How many manifests were written.
        referrers: How many referrers it has there.
        notes: What is not as one might expect, a sentence each.
    """

    digest: str
    size: int
    platforms: tuple[str, ...]
    blobs: tuple[Received, ...]
    written: int
    referrers: int
    notes: tuple[str, ...]


class Copier:
    """Copies one image.

    Args:
        source: Who has it.
        target: Who gets it.
        platforms: Which manifests of an index; empty for all.
        places: How many blobs are on their way at once.
        watcher: Is told how far it is.
        patience: How often is tried to read what is not sent on.
    """

    def __init__(
        self,
        source: Store,
        target: Store,
        platforms: Sequence[Platform],
        places: asyncio.Semaphore,
        watcher: Watcher,
        patience: Patience,
    ) -> None:
        self._source = source
        self._target = target
        self._platforms = platforms
        self._places = places
        self._watcher = watcher
        self._patience = patience
        self._done: dict[str, Manifest] = {}
        self._blobs: list[Received] = []
        self._sizes: dict[str, int] = {}
        self._names: tuple[str, ...] = ()
        self._notes: list[str] = []
        self._written = self._referrers = 0

    async def copy(self, wanted: str, name: str) -> Copied:
        """Copy the image that goes by *wanted* at the source, to *name* at the target.

        Args:
            wanted: A digest or a tag.
            name: A digest or a tag.

        Raises:
            TransferError: It cannot be copied. What has come of it already stays.
        """
        digest = await self._source.digest_of(wanted)
        if not digest:
            raise TransferError(f"{self._source} does not have {wanted}")
        root = await self._copied(digest, name, is_root=True)
        await self._target.finish(root)
        return Copied(
            root.digest,
            sum(self._sizes.values()),
            self._names,
            tuple(self._blobs),
            self._written,
            self._referrers,
            tuple(self._notes),
        )

    async def _copied(self, digest: str, name: str, *, is_root: bool = False) -> Manifest:
        """Copy a manifest with all that it needs; return what is at the target then."""
        if digest in self._done:
            return self._done[digest]
        there = await self._target.digest_of(name)
        is_known = there == digest or await self._target.digest_of(digest) == digest
        manifest = await (self._target if is_known else self._source).manifest(digest)
        self._done[digest] = manifest
        if manifest.is_index:
            kept = await self._children(manifest, is_root=is_root)
            self._done[digest] = await self._put_index(manifest, kept, name, there)
        else:
            if is_root and self._platforms:
                await self._look_at_platform(manifest)
            self._sizes |= {blob.digest: blob.size for blob in manifest.blobs}
            if not is_known:
                await self._send_blobs(manifest)
            if there != digest:
                await self._put(manifest, name)
        for each in await self._source.referrers(digest):
            await self._refer(each, digest)
        return self._done[digest]

    async def _children(self, index: Manifest, *, is_root: bool) -> list[Descriptor]:
        """Copy the manifests of an index that are wanted, and return them."""
        kept = chosen(index.children, self._platforms)
        if self._source.is_partial:
            kept = [each for each in kept if await self._source.digest_of(each.digest)]
        if index.children and not kept:
            there = ", ".join(names_of(index.children)) or "none that it names"
            wanted = ", ".join(map(str, self._platforms))
            raise TransferError(
                f"{self._source} has {index.digest} for other platforms only ({there}), "
                f"and --platform asks for {wanted}"
            )
        if is_root:
            self._names = names_of(kept)
            absent = lacking(kept, self._platforms)
            self._notes += [f"it is not for {platform}" for platform in absent]
        for child in kept:
            await self._copied(child.digest, child.digest)
        return kept

    async def _put_index(
        self, index: Manifest, kept: list[Descriptor], name: str, there: str
    ) -> Manifest:
        """Put an index under its name: as it is, or where that is refused what is left of it."""
        if there == index.digest:
            return index
        if len(kept) == len(index.children):
            await self._put(index, name)
            return index
        reduced = index_of(kept, index)
        if there != reduced.digest:
            try:
                await self._put(index, name)
            except SparseIndexError as error:
                if is_digest(name):
                    raise TransferError(
                        f"{error}: it takes no index without all of its manifests, and no "
                        "other can have this digest: leave out --platform"
                    ) from None
                await self._put(reduced, name)
            else:
                return index
        self._notes.append(
            f"{self._target} takes no index without all of its manifests: {name} there is "
            f"{reduced.digest} with those that were chosen, and not {index.digest}"
        )
        return reduced

    async def _look_at_platform(self, manifest: Manifest) -> None:
        """Look whether a manifest, which no index describes, is for a platform that is wanted."""
        config = manifest.config
        if config is None or config.size > MAX_CONFIG:
            return
        download = Download(self._source, config, self._patience)
        content = b"".join([part async for part in download.parts()])
        for parts in list_platforms(content):
            if parts[0] and not any(each.covers(*parts) for each in self._platforms):
                has, wanted = "/".join(filter(None, parts)), map(str, self._platforms)
                raise TransferError(
                    f"{self._source} has {manifest.digest} for {has} only, and --platform "
                    f"asks for {', '.join(wanted)}"
                )

    async def _send_blobs(self, manifest: Manifest) -> None:
        """Send what a manifest names, several at once; one that fails does not stop others."""
        blobs = manifest.blobs
        self._watcher.planned(sum(blob.size for blob in blobs))
        done = await asyncio.gather(*map(self._send, blobs), return_exceptions=True)
        for each in done:
            if isinstance(each, BaseException):
                raise each
            self._blobs.append(each)

    async def _send(self, blob: Descriptor) -> Received:
        async with self._places:
            return await self._target.receive(blob, self._source, self._watcher.moved)

    async def _put(self, manifest: Manifest, name: str) -> None:
        await self._target.put_manifest(manifest, name)
        self._written += 1

    async def _refer(self, referrer: Descriptor, subject: str) -> None:
        """Copy a manifest that is about another."""
        manifest = await self._copied(referrer.digest, referrer.digest)
        if manifest.subject == subject:
            await self._target.add_referrer(manifest)
            self._referrers += 1

"""A target that gets nothing: what would be sent is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhook.transfer.store import Arrival, Received

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from webhook.transfer.content import Descriptor, Manifest
    from webhook.transfer.store import Store

__all__ = ["Rehearsal"]


class Rehearsal:
    """A store of which others see what it has, and which takes nothing.

    Args:
        target: The store.
        counted: Blobs that were counted before, as its registry would have them by then.
        mounts: Whether the registry has all the blobs already, in another repository.
    """

    def __init__(self, target: Store, counted: set[str], *, mounts: bool = False) -> None:
        self._target = target
        self._counted = counted
        self._mounts = mounts
        self.is_partial = target.is_partial

    def __str__(self) -> str:
        return str(self._target)

    async def digest_of(self, name: str) -> str:
        """Return the digest of what goes by a name; empty if nothing does."""
        return await self._target.digest_of(name)

    async def manifest(self, name: str) -> Manifest:
        """Return what goes by a name."""
        return await self._target.manifest(name)

    def blob(
        self, blob: Descriptor, offset: int
    ) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        """Give a blob from a byte on."""
        return self._target.blob(blob, offset)

    async def referrers(self, digest: str) -> list[Descriptor]:
        """Return the manifests whose subject has a digest."""
        return await self._target.referrers(digest)

    async def has_blob(self, blob: Descriptor) -> bool:
        """Say whether a blob is here."""
        return await self._target.has_blob(blob)

    async def receive(
        self,
        blob: Descriptor,
        source: Store,  # noqa: ARG002 - nothing is taken from it
        moved: Callable[[int], None],
    ) -> Received:
        """Count a blob."""
        is_here = await self._target.has_blob(blob)
        moved(blob.size)
        if is_here:
            return Received(Arrival.PRESENT, blob.size)
        if self._mounts or blob.digest in self._counted:
            return Received(Arrival.MOUNTED, blob.size)
        self._counted.add(blob.digest)
        return Received(Arrival.SENT, blob.size, blob.size)

    async def put_manifest(self, manifest: Manifest, name: str) -> None:
        """Do nothing."""

    async def add_referrer(self, referrer: Manifest) -> None:
        """Do nothing."""

    async def finish(self, root: Manifest) -> None:
        """Do nothing."""

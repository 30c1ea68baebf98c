"""What holds an image: a repository of a registry, or an archive."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from webhook.transfer.content import Descriptor, Manifest

__all__ = ["Arrival", "Received", "Store"]


class Arrival(Enum):
    """How a blob came to where it is."""

    PRESENT = auto()
    MOUNTED = auto()
    SENT = auto()


@dataclass(frozen=True, slots=True)
class Received:
    """A blob that is where it should be.

    Attributes:
        arrival: How it came there.
        size: Its bytes.
        sent: Bytes that were sent for it.
    """

    arrival: Arrival
    size: int
    sent: int = 0


class Store(Protocol):
    """Where an image is read from, or written to.

    A *name* is a digest or a tag. Every method raises `TransferError` where it fails.

    Attributes:
        is_partial: Whether an index may lack manifests that it lists, as only those of
            some platforms are kept.
    """

    is_partial: bool

    async def digest_of(self, name: str) -> str:
        """Return the digest of what goes by a name; empty if nothing does."""

    async def manifest(self, name: str) -> Manifest:
        """Return what goes by a name, checked against its digest."""

    def blob(
        self, blob: Descriptor, offset: int
    ) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        """Give a blob from a byte on, or from an earlier one: which, and the content."""

    async def referrers(self, digest: str) -> list[Descriptor]:
        """Return the manifests whose subject has a digest."""

    async def has_blob(self, blob: Descriptor) -> bool:
        """Say whether a blob is here."""

    async def receive(
        self, blob: Descriptor, source: Store, moved: Callable[[int], None]
    ) -> Received:
        """Take a blob from another store, and check it while it comes.

        Args:
            blob: The blob.
            source: Who has it.
            moved: Is told how many bytes have come.
        """

    async def put_manifest(self, manifest: Manifest, name: str) -> None:
        """Keep a manifest under a name, and look whether it is there then."""

    async def add_referrer(self, referrer: Manifest) -> None:
        """Note that a manifest, which is kept already, refers to its subject."""

    async def finish(self, root: Manifest) -> None:
        """Note that the image is whole, with *root* as its manifest or index."""

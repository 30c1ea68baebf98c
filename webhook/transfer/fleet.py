"""Copying many images, several at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from webhook.transfer.copier import Copier
from webhook.transfer.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from webhook.core import Platform
    from webhook.transfer.copier import Copied, Watcher
    from webhook.transfer.orders import Order
    from webhook.transfer.patience import Patience
    from webhook.transfer.store import Arrival, Store

    Stores = Callable[[Order], tuple[Store, Store]]

__all__ = ["Fleet", "Listener", "Result", "Status"]


class Status(StrEnum):
    """What became of an image."""

    COPIED = "copied"
    PRESENT = "present"  # all of it was there
    SKIPPED = "skipped"  # no mirror is to have it
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one image.

    Attributes:
        order: What was to be done.
        copied: What is at the target; None if it is not there.
        error: Why not, as a sentence; empty if it is.
    """

    order: Order
    copied: Copied | None = None
    error: str = ""

    @property
    def status(self) -> Status:
        """What became of it, in one word."""
        if self.error or self.order.is_wrong:
            return Status.FAILED
        if self.copied is None:
            return Status.SKIPPED
        return Status.COPIED if self.copied.written else Status.PRESENT

    def size(self, *arrivals: Arrival) -> int:
        """Return the bytes of the blobs that came in one of some ways."""
        blobs = self.copied.blobs if self.copied else ()
        return sum(blob.size for blob in blobs if blob.arrival in arrivals)

    @property
    def sent(self) -> int:
        """The bytes of blobs that were sent."""
        return sum(blob.sent for blob in self.copied.blobs) if self.copied else 0


class Listener(Protocol):
    """Who is told of each image."""

    def ended(self, result: Result) -> None:
        """Note what became of an image."""


class Fleet:
    """Copies images.

    Args:
        stores: Returns where an image comes from and goes to.
        platforms: Which manifests of an index; empty for all.
        jobs: How many images, and how many blobs, are on their way at once.
        patience: How long is waited for registries.
        watcher: Is told how far it is.
        listener: Is told of each image.
    """

    def __init__(
        self,
        stores: Stores,
        platforms: Sequence[Platform],
        jobs: int,
        patience: Patience,
        watcher: Watcher,
        listener: Listener,
    ) -> None:
        self._stores = stores
        self._platforms = platforms
        self._images = asyncio.Semaphore(jobs)
        self._blobs = asyncio.Semaphore(jobs)
        self._patience = patience
        self._watcher = watcher
        self._listener = listener

    async def copy(self, orders: Sequence[Order]) -> list[Result]:
        """Copy images; one that fails does not stop the others.

        Returns:
            What became of each, in the order of *orders*.
        """
        return await asyncio.gather(*map(self._copied, orders))

    async def _copied(self, order: Order) -> Result:
        async with self._images:
            result = await self._tried(order)
        self._listener.ended(result)
        return result

    async def _tried(self, order: Order) -> Result:
        if order.target is None:
            return Result(order)
        source, target = self._stores(order)
        copier = Copier(source, target, self._platforms, self._blobs, self._watcher, self._patience)
        try:
            return Result(order, await copier.copy(order.wanted, order.name))
        except TransferError as error:
            return Result(order, error=str(error))

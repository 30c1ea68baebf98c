"""How long is waited for a registry, and how often it is asked again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from webhook.transfer.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["Patience"]

Value = TypeVar("Value")

# Bytes a second: below this a connection is as good as broken.
SLOWEST: Final = 1024
# What is sent is measured as a whole, by when it is answered.
SLOWEST_SENDING: Final = 32 * 1024
LONGEST_PAUSE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Patience:
    """What is waited for.

    Attributes:
        silence: Seconds without a word from a registry, or with hardly any.
        attempts: How often in a row something fails before it is given up.
        pause: Seconds before the second attempt; it doubles with each.
        sleep: Waits for some seconds.
        clock: Gives seconds that only grow.
    """

    silence: float = 30.0
    attempts: int = 5
    pause: float = 0.5
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic

    def seconds_for(self, size: int) -> float:
        """Return how long *size* bytes may take to be sent and answered."""
        return self.silence + size / SLOWEST_SENDING

    async def wait(self, failures: int, error: TransferError) -> None:
        """Wait before another attempt.

        Args:
            failures: How many there were in a row.
            error: The last of them.

        Raises:
            TransferError: It is *error*, where no other attempt makes sense.
        """
        if not error.is_transient or failures >= self.attempts:
            raise error
        pause = min(self.pause * 2 ** (failures - 1), LONGEST_PAUSE)
        await self.sleep(max(pause, error.pause))

    async def retried(self, work: Callable[[], Awaitable[Value]]) -> Value:
        """Return what *work* returns, as soon as an attempt succeeds.

        Raises:
            TransferError: The last attempt failed.
        """
        failures = 0
        while True:
            try:
                return await work()
            except TransferError as error:
                failures += 1
                await self.wait(failures, error)

    async def steady(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield *parts* as long as they keep coming.

        Only waiting for them counts, not what is done with them.

        Raises:
            TimeoutError: They do not.
        """
        waited, came = 0.0, 0
        while True:
            began = self.clock()
            try:
                async with asyncio.timeout(self.silence):
                    part = await anext(parts)
            except StopAsyncIteration:
                return
            waited += self.clock() - began
            came += len(part)
            if waited >= self.silence:
                if came < waited * SLOWEST:
                    raise TimeoutError
                waited, came = 0.0, 0
            yield part

"""Waiting for a blocking call without being held up by it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_thread"]

T = TypeVar("T")


async def in_thread(call: Callable[[], T], *, limit: float) -> T:
    """Run *call* in a thread of its own.

    The threads of asyncio's own executor are waited for when the process ends; this
    one is not, so that an API server that does not answer holds no shutdown up.

    Args:
        call: What to run.
        limit: Seconds after which it is waited for no longer.

    Raises:
        TimeoutError: It took too long; it may still be running.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type] # it is a T without an error
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as caught:  # noqa: BLE001 - it is raised where it is awaited
            error = caught
        with suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="kubernetes", daemon=True).start()
    async with asyncio.timeout(limit):
        return await future

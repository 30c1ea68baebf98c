"""Run a registry client in a thread, so that no registry can hold up reviews."""

from __future__ import annotations

import asyncio
import sys
from threading import Thread
from typing import TYPE_CHECKING, Final, TypeVar

import httpcore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from webhook.core import ImageReference
    from webhook.registry.client import RegistryClient
    from webhook.registry.responses import CheckResult

__all__ = ["ClientThread"]

# How long a busy thread keeps the interpreter while another waits for it, in seconds. A review
# needs it some twenty times, so that Python's 5 ms would make 100 ms.
SWITCH_INTERVAL: Final = 0.0005
# Heads of responses have 1 or 2 KB. One of many short lines takes far more time and memory
# than its bytes, and all that is read at once is parsed before anything else happens.
MAX_HEAD: Final = 16 * 1024
READ_BYTES: Final = 8 * 1024

T = TypeVar("T")


class ClientThread:
    """A registry client with an event loop in a thread of its own.

    What registries send takes time to read: handshakes with long keys, headers and chunks of
    one byte, large documents. On the event loop that answers reviews, others would wait.

    Args:
        create: Makes the client; is given a function to report problems with.
        report: Is called with a sentence when a file cannot be used, on the event loop of
            the first check.
    """

    def __init__(
        self,
        create: Callable[[Callable[[str], None]], RegistryClient],
        report: Callable[[str], None],
    ) -> None:
        self._client = create(self._report)
        self._report_here = report
        self._caller: asyncio.AbstractEventLoop | None = None
        self._loop = asyncio.new_event_loop()
        # A daemon: a registry that hangs does not hold up the end of the process.
        self._thread = Thread(target=self._loop.run_forever, name="registries", daemon=True)
        self._thread.start()
        sys.setswitchinterval(SWITCH_INTERVAL)
        httpcore.AsyncHTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE = MAX_HEAD
        httpcore.AsyncHTTP11Connection.READ_NUM_BYTES = READ_BYTES

    async def check_image(self, reference: ImageReference, *, is_named: bool = True) -> CheckResult:
        """Return whether a registry has an image."""
        return await self._run(self._client.check_image(reference, is_named=is_named))

    async def check_registry(self, registry: str) -> CheckResult:
        """Return what a registry answers to a request for no image."""
        return await self._run(self._client.check_registry(registry))

    async def close(self) -> None:
        """Close every connection, and end the thread."""
        if not self._loop.is_closed():
            await self._run(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join)
            self._loop.close()

    async def _close(self) -> None:
        await self._client.close()
        # They have failed, or end with their time.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    async def _run(self, work: Coroutine[None, None, T]) -> T:
        self._caller = self._caller or asyncio.get_running_loop()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _report(self, problem: str) -> None:
        if self._caller is not None:
            self._caller.call_soon_threadsafe(self._report_here, problem)

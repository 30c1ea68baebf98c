"""The two ports from their opening to their end.

At the end no request is lost: the replica says that it is not ready, goes on
serving while that gets about, with ``Connection: close`` on every answer, and then
answers what is in hand. The operations port is the last to go, so that probes see
all of it.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhook.server.listeners import Listener
    from webhook.server.readiness import Readiness
    from webhook.telemetry import Log

__all__ = ["Ports"]


class Ports:
    """Both ports, and the signals that end them.

    Args:
        reviews: The port for reviews.
        operations: The port for probes and metrics.
        readiness: Is told that the end comes.
        log: Notes it.
        drain: Seconds to go on serving after SIGTERM.
    """

    def __init__(
        self,
        *,
        reviews: Listener,
        operations: Listener,
        readiness: Readiness,
        log: Log,
        drain: float,
    ) -> None:
        self.reviews = reviews
        self.operations = operations
        self._readiness = readiness
        self._log = log
        self._drain = drain
        self._signals: list[signal.Signals] = []
        self._signalled = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Begin to serve, and to listen to signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signal, number)
        for each in (self.operations, self.reviews):
            serving = each.server.serve([each.socket])
            self._running.append(asyncio.create_task(serving))
            await each.server.opened.wait()

    def _signal(self, number: signal.Signals) -> None:
        self._signals.append(number)
        self._signalled.set()
        if len(self._signals) > 1:
            for each in (self.reviews, self.operations):
                each.server.force_exit = True

    async def closed(self) -> None:
        """Wait for a signal, and for the end that it brings; a second one hurries it."""
        await self._signalled.wait()
        self._readiness.drain()
        first = self._signals[0]
        # Who presses Ctrl-C has no Service that would send more.
        drain = self._drain if first is signal.SIGTERM else 0.0
        self._log.info("shutting down", signal=first.name, drain_seconds=drain)
        self._signalled.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._signalled.wait(), drain)
        for each, running in zip(
            (self.reviews, self.operations), reversed(self._running), strict=True
        ):
            each.server.should_exit = True
            await running
        self._log.info("shut down")

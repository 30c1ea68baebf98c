"""The life of the process: its listeners, its background tasks, and its graceful shutdown.

No request is lost at the end. The replica reports that it is not ready, and goes on serving
until traffic goes elsewhere, with ``Connection: close`` on every answer. Then it answers the
requests that it has, and ends. The operations port closes last, so that probes see all of it.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from webhook.server.listener import Listener
    from webhook.server.readiness import Readiness
    from webhook.telemetry import Log

__all__ = ["Lifecycle", "keep_running"]

RESTART_SECONDS: Final = 5.0


class Lifecycle:
    """Opens both listeners, and shuts them down gracefully on a signal.

    Args:
        reviews: The port for reviews.
        operations: The port for probes and metrics.
        readiness: Is set to draining when the shutdown begins.
        log: Logs the shutdown.
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
        self._serving: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Begin to serve, and to handle signals.

        Raises:
            Exception: What a server ends with before it accepts connections.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._handle_signal, number)
        for each in (self.operations, self.reviews):
            serving = asyncio.create_task(each.server.serve([each.socket]))
            self._serving.append(serving)
            opened = asyncio.create_task(each.server.opened.wait())
            await asyncio.wait([opened, serving], return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                opened.cancel()
                serving.result()

    async def wait(self) -> None:
        """Wait for a signal, and shut down; a second signal hurries that.

        A port that fails ends the process, so that the kubelet starts it again.
        """
        signalled = asyncio.create_task(self._signalled.wait())
        await asyncio.wait([signalled, *self._serving], return_when=asyncio.FIRST_COMPLETED)
        for serving in self._serving:
            if serving.done():
                serving.result()
        self._readiness.drain()
        first = self._signals[0]
        # After Ctrl-C there is no Service that would send more.
        drain = self._drain if first is signal.SIGTERM else 0.0
        self._log.info("shutting down", signal=first.name, drain_seconds=drain)
        self._signalled.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._signalled.wait(), drain)
        for each, serving in zip(
            (self.reviews, self.operations), reversed(self._serving), strict=True
        ):
            each.server.should_exit = True
            await serving
        self._log.info("shut down")

    def _handle_signal(self, number: signal.Signals) -> None:
        self._signals.append(number)
        self._signalled.set()
        if len(self._signals) > 1:
            for each in (self.reviews, self.operations):
                each.server.force_exit = True


def keep_running(
    name: str,
    work: Callable[[], Awaitable[None]],
    log: Log,
    *,
    restart: float = RESTART_SECONDS,
) -> asyncio.Task[None]:
    """Run *work* in the background; an error is logged, and the work begins again.

    Args:
        name: Its name in the log.
        work: Starts the work, which may also come to an end.
        log: Logs errors.
        restart: Seconds before it begins again.
    """

    async def run() -> None:
        while True:
            try:
                return await work()
            except Exception as error:  # noqa: BLE001 - the webhook serves on
                log.failure("background task failed and is restarted", error, task=name)
            await asyncio.sleep(restart)

    return asyncio.create_task(run(), name=name)

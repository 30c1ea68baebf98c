"""Work beside the requests, which an error must not end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from webhook.telemetry import Log

__all__ = ["kept_running"]

RESTART_SECONDS: Final = 5.0


def kept_running(
    name: str,
    work: Callable[[], Awaitable[None]],
    log: Log,
    *,
    restart: float = RESTART_SECONDS,
) -> asyncio.Task[None]:
    """Start *work* as a task; when an error ends it, it is begun anew.

    Args:
        name: What the log calls it.
        work: Begins the work; it may come to its end.
        log: Notes errors.
        restart: Seconds before it is begun anew.
    """

    async def run() -> None:
        while True:
            try:
                return await work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the webhook serves on
                log.failure("background work failed and begins anew", error, work=name)
            await asyncio.sleep(restart)

    return asyncio.create_task(run(), name=name)

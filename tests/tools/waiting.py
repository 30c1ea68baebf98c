"""Waiting for a state that no event tells of, such as that of a thread or of a connection."""

from __future__ import annotations

import asyncio

PATIENCE = 60.0  # seconds, on a machine that is busy


async def until(condition, *, pause=0.002):
    """Return once *condition* is true; it is looked at every *pause* seconds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - this is the one place for it
            await asyncio.sleep(pause)

"""Keeping cores awake, where Linux lets us: that takes root.

Who answers a client that sleeps pays for waking its core, on virtual machines more than
for the answer itself. A fast server keeps one client busy, and pays nothing; one that is a
little slower pays each time. Both are compared without.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["can_keep_awake", "keep_awake"]

# While it is open, no core takes longer to wake up than was written there (kernel.org,
# power/pm_qos_interface): none sleeps for 0 microseconds.
LATENCY: Final = Path("/dev/cpu_dma_latency")


@contextmanager
def keep_awake() -> Iterator[bool]:
    """Let no core sleep until the end of the block; gives whether that is so."""
    try:
        file = LATENCY.open("wb", buffering=0)
    except OSError:
        yield False
        return
    with file:
        file.write(struct.pack("i", 0))
        yield True


def can_keep_awake() -> bool:
    """Say whether cores can be kept awake here."""
    with keep_awake() as can:
        return can

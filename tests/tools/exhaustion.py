"""Processes that run out of something."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def exhausted(pid: int, kind: int) -> Iterator[None]:
    """Give a process no more of something than it has.

    Args:
        pid: The process.
        kind: A limit, such as ``resource.RLIMIT_AS``.
    """
    before = resource.prlimit(pid, kind)
    # Linux ignores a limit of 0 for memory.
    resource.prlimit(pid, kind, (1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, before)

"""Writing lines without ever waiting for their reader."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final

__all__ = ["LineWriter"]

# About a second of the most that one replica can have to say.
MAX_WAITING: Final = 8192
MAX_BATCH: Final = 256
# To wake a thread costs more than to make a line: one waits for those that follow it. But
# more at once would fill the pipe, and keep a review waiting.
GATHER_SECONDS: Final = 0.02
GATHER_LINES: Final = 32


class LineWriter:
    """A thread that writes lines to a file descriptor, in order.

    A pipe that nobody reads must not hold up the creation of Pods: what does not
    fit into the queue is dropped, and counted.

    Args:
        descriptor: Where the lines go, for instance 1 for standard output.
        gather: How many seconds a line waits for others at most.
    """

    def __init__(self, descriptor: int, gather: float = GATHER_SECONDS) -> None:
        self._descriptor = descriptor
        self._gather = gather
        self._waiting: deque[bytes] = deque()
        self._called = False
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._closing = False
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        self.dropped = 0

    def write(self, line: bytes) -> None:
        """Hand over one line, without its end."""
        waiting = self._waiting
        if len(waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        waiting.append(line)
        if not self._called or len(waiting) == GATHER_LINES:
            self._called = True
            self._calls.put(None)

    def close(self, patience: float) -> None:
        """Write what is waiting, for *patience* seconds at most, and end."""
        self._closing = True
        self._gather = 0
        self._calls.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        while not self._closing:
            self._calls.get()
            with suppress(Empty):
                self._calls.get(timeout=self._gather)
            # Before the lines are taken: one that comes after that calls again.
            self._called = False
            if not self._wrote_all():
                return
        # What came while the last was written.
        self._wrote_all()

    def _wrote_all(self) -> bool:
        waiting = self._waiting
        while waiting:
            batch = [waiting.popleft() for _ in range(min(len(waiting), MAX_BATCH))]
            if not self._written(b"\n".join(batch) + b"\n"):
                return False
        return True

    def _written(self, data: bytes) -> bool:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError:
                return False  # the reader has gone, and nobody is left to be told
        return True

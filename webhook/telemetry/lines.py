"""
Writing lines without ever waiting for their reader.
"""

from __future__ import annotations

import os
from queue import Empty, Full, Queue
from threading import Thread
from typing import Final

__all__ = ["LineWriter"]

# About a second of the most that one replica can have to say.
MAX_WAITING: Final = 8192
MAX_BATCH: Final = 256


class LineWriter:
    """
    A thread that writes lines to a file descriptor, in order.

    A pipe that nobody reads must not hold up the creation of Pods: what does not
    fit into the queue is dropped, and counted.

    Args:
        descriptor: Where the lines go, for instance 1 for standard output.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: Queue[bytes | None] = Queue(MAX_WAITING)
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        self.dropped = 0

    def write(self, line: bytes) -> None:
        """
        Hand over one line, without its end.
        """
        try:
            self._waiting.put_nowait(line)
        except Full:
            self.dropped += 1

    def close(self, patience: float) -> None:
        """
        Write what is waiting, for *patience* seconds at most, and end.
        """
        try:
            self._waiting.put(None, timeout=patience)
        except Full:
            return
        self._thread.join(patience)

    def _run(self) -> None:
        while (line := self._waiting.get()) is not None:
            batch = [line]
            last = False
            while len(batch) < MAX_BATCH and not last:
                try:
                    more = self._waiting.get_nowait()
                except Empty:
                    break
                if more is None:
                    last = True
                else:
                    batch.append(more)
            if not self._written(b"\n".join(batch) + b"\n") or last:
                return

    def _written(self, data: bytes) -> bool:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError:
                return False  # the reader has gone, and nobody is left to be told
        return True

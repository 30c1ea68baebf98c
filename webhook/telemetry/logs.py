"""The log: JSON objects, one a line, each with a time, a level and an event in words."""

from __future__ import annotations

import logging
import os
from collections import deque
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LOG_LEVELS", "LineWriter", "Log", "ReviewLine", "redirect_logging"]

LOG_LEVELS: Final = ("debug", "info", "warning", "error")

# Bytes of lines that wait, some 15,000 of usual length: more than a second of the most that one
# replica can log.
MAX_BYTES: Final = 8 * 1024 * 1024
LINE_OVERHEAD: Final = 64  # of a line in memory
MAX_BATCH: Final = 64 * 1024  # bytes, as a pipe takes
# Characters of a text; the longest are tracebacks.
MAX_FIELD: Final = 16 * 1024
# Waking a thread costs more than making a line, so a line waits for those that follow it.
GATHER_SECONDS: Final = 0.02


class ReviewLine(Struct, frozen=True, omit_defaults=True, rename="camel", gc=False):
    """The log line of a review."""

    time: str
    level: str
    event: str
    policy: str
    uid: str
    namespace: str
    pod: str
    operation: str
    dry_run: bool
    result: str
    images: Raw
    reason: str = ""  # why no image was looked at


class Log:
    """The log of one process.

    Args:
        write: Writes one line, without its end.
        clock: Returns seconds since the epoch.
        level: The lowest level that is written.

    Attributes:
        levels: The levels that are written.
        write: As above; whoever calls it has checked `levels`.
        encode: Returns an object as a line.
    """

    def __init__(
        self, write: Callable[[bytes], None], clock: Callable[[], float], level: str = "info"
    ) -> None:
        self.levels: Final = frozenset(LOG_LEVELS[LOG_LEVELS.index(level) :])
        self.write: Final = write
        self._clock = clock
        self.encode: Final = msgspec.json.Encoder(enc_hook=str).encode
        self._second = -1
        self._shown_second = ""

    def info(self, event: str, **fields: Any) -> None:
        """Log an event of normal operation."""
        self._log("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log something that somebody should look at."""
        self._log("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log something that failed."""
        self._log("error", event, fields)

    def failure(self, event: str, error: BaseException, **fields: Any) -> None:
        """Log an unexpected error with its traceback."""
        self._log("error", event, {**fields, "traceback": "".join(format_exception(error))})

    def timestamp(self) -> str:
        """Return the time now, as in RFC 3339."""
        second, milliseconds = divmod(int(self._clock() * 1000), 1000)
        if second != self._second:
            self._second = second
            self._shown_second = datetime.fromtimestamp(second, UTC).isoformat()[:-6]
        return f"{self._shown_second}.{milliseconds:03}Z"

    def _log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if level not in self.levels:
            return
        line = {"time": self.timestamp(), "level": level, "event": event, **fields}
        for name, value in line.items():
            if isinstance(value, str):
                line[name] = value[:MAX_FIELD]
        self.write(self.encode(line))


class LineWriter:
    """A thread that writes lines to a file descriptor, in order.

    A pipe that nobody reads must not hold up the creation of Pods, or fill the memory: a line
    that does not fit into the queue is dropped, and counted.

    Args:
        descriptor: Where the lines go, for instance 1 for standard output.
        gather: For how many seconds a line may wait for others.

    Attributes:
        dropped: How many lines were dropped.
    """

    def __init__(self, descriptor: int, gather: float = GATHER_SECONDS) -> None:
        self._descriptor = descriptor
        self._gather = gather
        self._waiting: deque[bytes] = deque()
        self._bytes = 0  # of the lines that wait or are being written
        self._lock = Lock()  # for them
        self._called = Event()
        self._closing = Event()
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        self.dropped = 0

    def write(self, line: bytes) -> None:
        """Queue one line, without its end."""
        size = len(line) + LINE_OVERHEAD
        with self._lock:
            if self._bytes + size > MAX_BYTES:
                self.dropped += 1
                return
            self._bytes += size
        self._waiting.append(line)
        if not self._called.is_set():
            self._called.set()

    def close(self, seconds: float) -> None:
        """Write the lines that are waiting, for *seconds* at most, and end."""
        self._closing.set()
        self._called.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._called.wait()
            self._closing.wait(self._gather)
            # Before the lines are taken: one that comes after that calls again.
            self._called.clear()
            if not self._write_waiting():
                return
        # Lines that came while the last were written.
        self._write_waiting()

    def _write_waiting(self) -> bool:
        """Write all lines, and return whether their reader is still there."""
        waiting = self._waiting
        while waiting:
            batch, size = [], 0
            while waiting and size < MAX_BATCH:
                batch.append(waiting.popleft())
                size += len(batch[-1]) + LINE_OVERHEAD
            data = memoryview(b"\n".join([*batch, b""]))
            dropped = 0
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except BrokenPipeError:
                return False
            except OSError:  # such as a full disk, which may have space again
                dropped = len(batch)
            with self._lock:
                self._bytes -= size
                self.dropped += dropped
        return True


def redirect_logging(log: Log, *names: str) -> None:
    """Write the warnings and errors of libraries to *log*.

    Args:
        log: The log.
        names: Names of their loggers.
    """
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers = [_LogHandler(log)]
        logger.setLevel(logging.WARNING)
        logger.propagate = False


class _LogHandler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            formatter = self.formatter or logging.Formatter()
            fields["traceback"] = formatter.formatException(record.exc_info)
        if record.levelno >= logging.ERROR:
            self._log.error(record.getMessage(), **fields)
        elif record.levelno >= logging.WARNING:
            self._log.warning(record.getMessage(), **fields)
        else:
            self._log.info(record.getMessage(), **fields)

"""Log lines: one JSON object each, with a time, a level and an event in words."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from traceback import format_exception
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Log", "LogHandler", "ReviewLine"]


class ReviewLine(Struct, frozen=True, rename="camel", gc=False):
    """What the log says of a review that did something."""

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


class Log:
    """The log of one process.

    Args:
        write: Takes one line, without its end.
        clock: Gives the time, in seconds since the epoch.
    """

    def __init__(self, write: Callable[[bytes], None], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._encode = msgspec.json.Encoder(enc_hook=str).encode
        self._moment = -1
        self._written = ""

    def info(self, event: str, **fields: Any) -> None:
        """Note something that is as it should be."""
        self._note("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Note something that somebody should look at."""
        self._note("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Note something that failed."""
        self._note("error", event, fields)

    def failure(self, event: str, error: BaseException, **fields: Any) -> None:
        """Note an error that nobody expected, with its traceback."""
        self._note("error", event, {**fields, "traceback": "".join(format_exception(error))})

    def line(self, line: object) -> None:
        """Note what becomes a JSON object with a time, a level and an event of its own."""
        self._write(self._encode(line))

    def time(self) -> str:
        """Return what is written as the time now, as RFC 3339 has it."""
        moment = int(self._clock() * 1000)
        if moment != self._moment:
            self._moment = moment
            second, millisecond = divmod(moment, 1000)
            written = datetime.fromtimestamp(second, UTC).isoformat()[:-6]
            self._written = f"{written}.{millisecond:03}Z"
        return self._written

    def _note(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self.line({"time": self.time(), "level": level, "event": event, **fields})


class LogHandler(logging.Handler):
    """Passes what libraries log on to ours, as lines of the same form."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            formatter = self.formatter or logging.Formatter()
            fields["traceback"] = formatter.formatException(record.exc_info)
        note = (
            self._log.info
            if record.levelno < logging.WARNING
            else self._log.warning
            if record.levelno < logging.ERROR
            else self._log.error
        )
        note(record.getMessage(), **fields)


def take_over(log: Log, *names: str) -> None:
    """Have what libraries complain of in our log.

    Args:
        log: Our log.
        names: Names of their loggers.
    """
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers = [LogHandler(log)]
        logger.setLevel(logging.WARNING)
        logger.propagate = False

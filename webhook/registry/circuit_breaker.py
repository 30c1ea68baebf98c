"""Stop asking a registry that keeps failing (`circuit breaker`_).

.. _circuit breaker: https://martinfowler.com/bliki/CircuitBreaker.html
"""

from __future__ import annotations

from typing import Final

__all__ = ["CircuitBreaker"]

FAILURES_TO_SUSPECT: Final = 5
# Failures further apart are not one outage.
FAILURE_SECONDS: Final = 60.0
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 60.0


class CircuitBreaker:
    """The circuit breaker of one registry; times are in seconds of a monotonic clock.

    After five failures in a row, each within a minute of the one before, a trial is due: the
    failures may be those of some images only. If the trial fails too, it opens, and no request
    passes until a pause is over. Then another trial is due, which closes it, or doubles
    the pause, up to a minute.

    Attributes:
        is_open: Whether requests are held back.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._failures = 0
        self._failed_at = 0.0
        self._pause = FIRST_PAUSE
        self._open_until = 0.0
        self._on_trial = False

    def is_trial_due(self, now: float) -> bool:
        """Return whether somebody should find out now whether the registry is up."""
        if self._on_trial:
            return False
        if self.is_open:
            return now >= self._open_until
        return self._failures >= FAILURES_TO_SUSPECT

    def begin_trial(self) -> None:
        """Record that a trial has begun; there is no other until it ends."""
        self._on_trial = True

    def end_trial(self, now: float, *, is_up: bool) -> None:
        """Open or close by the result of a trial."""
        self._on_trial = False
        if is_up:
            self.record_success()
        # An answer that came during the trial counts for more than its failure.
        if not self._failures:
            return
        if self.is_open:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self.is_open = True
        self._open_until = now + self._pause

    def record_success(self) -> None:
        """Record that the registry answered, whatever it said."""
        self.is_open = False
        self._failures = 0
        self._pause = FIRST_PAUSE

    def record_failure(self, now: float) -> None:
        """Record that the registry failed."""
        if now - self._failed_at > FAILURE_SECONDS:
            self._failures = 0
        self._failures += 1
        self._failed_at = now

"""Stop asking a registry that keeps failing (`circuit breaker`_).

.. _circuit breaker: https://martinfowler.com/bliki/CircuitBreaker.html
"""

from __future__ import annotations

from typing import Final

__all__ = ["CircuitBreaker"]

FAILURES_TO_OPEN: Final = 5
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 60.0


class CircuitBreaker:
    """The circuit breaker of one registry; times are in seconds of a monotonic clock.

    While it is closed, requests pass. It opens after five failures in a row: then none
    passes until a pause is over. One trial follows, which closes it, or opens it again
    for twice as long, up to a minute.

    Attributes:
        is_open: Whether requests are held back.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._open_until = 0.0
        self._on_trial = False

    @property
    def is_idle(self) -> bool:
        """Whether it has no failure to remember."""
        return not self._failures

    def is_trial_due(self, now: float) -> bool:
        """Return whether it is open and one request should pass as a trial."""
        return self.is_open and not self._on_trial and now >= self._open_until

    def begin_trial(self) -> None:
        """Record that a trial has begun; there is no other until it ends."""
        self._on_trial = True

    def record_success(self) -> None:
        """Record that the registry answered, whatever it said."""
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._on_trial = self.is_open = False

    def record_failure(self, now: float, *, trial: bool = False) -> None:
        """Record that the registry failed.

        Args:
            now: The current time.
            trial: Whether this was the trial. Requests from before it opened end later.
        """
        self._failures += 1
        if trial:
            self._on_trial = False
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        elif self.is_open or self._failures < FAILURES_TO_OPEN:
            return
        self.is_open = True
        self._open_until = now + self._pause

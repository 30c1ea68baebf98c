"""Leaving a registry alone that fails time and again (`circuit breaker`_).

.. _circuit breaker: https://martinfowler.com/bliki/CircuitBreaker.html
"""

from __future__ import annotations

from typing import Final

__all__ = ["Breaker"]

FAILURES_TO_OPEN: Final = 5
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 60.0


class Breaker:
    """Lets questions through to one registry, or not.

    Closed, it lets them through. After some failures in a row it opens, and none gets
    through for a while; then one does as a trial, and closes it or opens it for longer.

    Times are in seconds of one clock that only grows.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._until = 0.0
        self._on_trial = False
        self.is_open = False

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to remember."""
        return not self._failures

    def is_due(self, now: float) -> bool:
        """Say whether it is open, and one question should pass as a trial."""
        return self.is_open and not self._on_trial and now >= self._until

    def begin_trial(self) -> None:
        """Note that a trial is on its way: no other begins before its end."""
        self._on_trial = True

    def succeeded(self) -> None:
        """Note an answer, whatever it says of the image."""
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._on_trial = self.is_open = False

    def failed(self, now: float, *, trial: bool = False) -> None:
        """Note a question without an answer.

        Args:
            now: The time.
            trial: It was the trial. Others may still come in from before it opened.
        """
        self._failures += 1
        if trial:
            self._on_trial = False
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        elif self.is_open or self._failures < FAILURES_TO_OPEN:
            return
        self.is_open = True
        self._until = now + self._pause

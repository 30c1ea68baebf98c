"""When a Pod that comes again and again is taken for an operator's loop."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LoopLimits"]


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """How often the same Pod may come, each time to be rewritten.

    Attributes:
        times: With the so manieth time its owner is left alone.
        within: Seconds in which they are counted.
    """

    times: int = 10
    within: float = 3600.0

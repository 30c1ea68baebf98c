"""What is known of a mirror, as far as it was asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Health", "Standing"]


class Standing(StrEnum):
    """Whether a mirror answers."""

    ANSWERS = "answers"  # whatever it says of the image
    FAILING = "failing"
    LEFT_ALONE = "left-alone"  # it failed time and again
    NOT_YET = "not-asked-yet"
    NOT_ASKED = "not-asked"  # availability is not checked


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a mirror.

    Attributes:
        standing: Whether it answers.
        reason: Its latest answer in words; empty for none.
    """

    standing: Standing
    reason: str = ""

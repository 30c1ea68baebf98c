"""Reading when a Pod that comes again and again is taken for a loop."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from webhook.config.availability import duration
from webhook.core import LoopLimits

if TYPE_CHECKING:
    from webhook.config.place import Place

__all__ = ["LOOP_KEYS", "read_loops"]

LOOP_KEYS: Final = ("mode", "times", "within")
LEAST, MOST = 3, 100
LONGEST: Final = 24 * 3600.0


class LoopMode(StrEnum):
    """What becomes of owners that make the same Pod again and again."""

    STOP = "stop"
    OFF = "off"


def read_loops(place: Place) -> LoopLimits | None:
    """Return the limits; None where nobody counts.

    Args:
        place: The value of ``loops``.
    """
    entries = place.entries(LOOP_KEYS)
    default = LoopLimits()
    # Without quotes, off is false to YAML 1.1.
    is_off = "mode" in entries and (
        entries["mode"].is_false() or entries["mode"].choice(LoopMode) is LoopMode.OFF
    )
    times = entries["times"].whole(LEAST, MOST) if "times" in entries else None
    within = duration(entries["within"], LONGEST) if "within" in entries else None
    return None if is_off else LoopLimits(times or default.times, within or default.within)

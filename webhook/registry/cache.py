"""What is known of images, for a while, and of no more than so many."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.registry.answers import FAILURES, Finding, Presence

if TYPE_CHECKING:
    from webhook.core import Availability

__all__ = ["MAX_ENTRIES", "FindingCache"]

# A cluster of some thousand Pods has some hundred images; each takes about 1 KB here.
MAX_ENTRIES: Final = 10_000


@dataclass(slots=True)
class Entry:
    """One finding, and until when it holds.

    Attributes:
        finding: What was found.
        fresh_until: When it should be looked at again.
        usable_until: When it is worth nothing any more.
    """

    finding: Finding
    fresh_until: float
    usable_until: float


class FindingCache:
    """Findings by image; of too many, those that were not wanted for longest go.

    A finding is fresh for its time to live. For as long again it is used, while it is
    looked for anew: nobody waits for an image that was there a moment ago.

    Times are in seconds of one clock that only grows.

    Args:
        settings: Says how long findings live.
        size: How many there are at most.
    """

    def __init__(self, settings: Availability, size: int = MAX_ENTRIES) -> None:
        self._settings = settings
        self._size = size
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str, now: float) -> tuple[Finding | None, bool]:
        """Return what is known of an image, and whether it should be looked at again."""
        entry = self._entries.get(name)
        if entry is None:
            return None, False
        if now < entry.fresh_until:
            self._entries.move_to_end(name)
            return entry.finding, False
        if now < entry.usable_until:
            self._entries.move_to_end(name)
            return entry.finding, True
        del self._entries[name]
        return None, False

    def put(self, name: str, finding: Finding, now: float) -> None:
        """Note what was found.

        A failure of the registry says nothing of the image: where it was there before,
        it counts as being there to the end of that finding's time.
        """
        known = self._entries.get(name)
        pause = self._settings.negative_ttl
        is_kept = (
            known is not None
            and finding.answer in FAILURES
            and known.finding.presence is Presence.PRESENT
            and now < known.usable_until
        )
        if known is not None and is_kept:
            known.fresh_until = now + pause
            return
        life = self._settings.ttl if finding.presence is Presence.PRESENT else pause
        self._entries[name] = Entry(finding, now + life, now + 2 * life)
        self._entries.move_to_end(name)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

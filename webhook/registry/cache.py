"""Remember the results of image checks, for some time and up to some number."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from webhook.core import Availability
    from webhook.registry.responses import CheckResult

__all__ = ["MAX_ENTRIES", "CheckCache"]

# A cluster of some thousand Pods has some hundred images; each takes about 1 KB here.
MAX_ENTRIES: Final = 10_000


@dataclass(slots=True)
class _Entry:
    result: CheckResult
    fresh_until: float
    usable_until: float


class CheckCache:
    """Results by image; when there are too many, the least recently used is dropped.

    A result is fresh for its time to live. For as long again it is stale: it is still used
    while the image is checked again (stale-while-revalidate, RFC 5861), so that nobody
    waits for an image that was there a moment ago. Times are in seconds of a monotonic clock.

    Args:
        settings: How long results live.
        size: How many there are at most.
    """

    def __init__(self, settings: Availability, size: int = MAX_ENTRIES) -> None:
        self._settings = settings
        self._size = size
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, image: str, now: float) -> tuple[CheckResult | None, bool]:
        """Return the result for an image, if there is one, and whether it is stale."""
        entry = self._entries.get(image)
        if entry is None:
            return None, False
        if now >= entry.usable_until:
            del self._entries[image]
            return None, False
        self._entries.move_to_end(image)
        return entry.result, now >= entry.fresh_until

    def put(self, image: str, result: CheckResult, now: float) -> None:
        """Store a result.

        A failure of the registry shows nothing about the image: if it was there before,
        that result is kept until its time is over.
        """
        known = self._entries.get(image)
        pause = self._settings.negative_ttl
        if (
            known is not None
            and result.status.is_failure
            and known.result.is_present
            and now < known.usable_until
        ):
            known.fresh_until = now + pause
            return
        life = self._settings.ttl if result.is_present else pause
        self._entries[image] = _Entry(result, now + life, now + 2 * life)
        self._entries.move_to_end(image)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

"""Remember the results of image checks, for some time and up to some bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

    from webhook.core import Availability
    from webhook.registry.responses import CheckResult

__all__ = ["ENTRY_BYTES", "MAX_BYTES", "BoundedCache", "CheckCache"]

# A cluster of some thousand Pods has some hundred images; each takes about 1 KB here.
MAX_BYTES: Final = 6 * 1024 * 1024
# The objects of an entry, without the characters of its strings.
ENTRY_BYTES: Final = 700

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """A mapping of limited size in bytes; the least recently used entries are dropped.

    Args:
        limit: How many bytes the entries may take together, as their callers count them.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return a value, which is now the most recently used; None if there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Store a value of *size* bytes."""
        self.pop(key)
        self._entries[key] = value, size
        self.size += size
        while self.size > self._limit:
            _, (_, dropped) = self._entries.popitem(last=False)
            self.size -= dropped

    def pop(self, key: K) -> V | None:
        """Remove an entry, and return its value; None if there is none."""
        value, size = self._entries.pop(key, (None, 0))
        self.size -= size
        return value


@dataclass(slots=True)
class _Entry:
    result: CheckResult
    fresh_until: float
    usable_until: float
    digest: str


class CheckCache:
    """Results by image.

    A result is fresh for its time to live. For as long again it is stale: it is still used
    while the image is checked again (stale-while-revalidate, RFC 5861), so that nobody
    waits for an image that was there a moment ago. Times are in seconds of a monotonic clock.

    What the registries of rules have is kept apart, so that names that somebody made up
    don't push it out.

    Args:
        settings: How long results live.
        limit: How many bytes each of both parts takes at most.
    """

    def __init__(self, settings: Availability, limit: int = MAX_BYTES) -> None:
        self._settings = settings
        self._valued: BoundedCache[str, _Entry] = BoundedCache(limit)
        self._others: BoundedCache[str, _Entry] = BoundedCache(limit)

    def __len__(self) -> int:
        return len(self._valued) + len(self._others)

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return self._valued.size + self._others.size

    def get(self, image: str, now: float) -> tuple[CheckResult | None, bool]:
        """Return the result for an image, if there is one, and whether it is stale."""
        entry = self._get(image)
        if entry is None or now >= entry.usable_until:
            return None, False
        return entry.result, now >= entry.fresh_until

    def get_digest(self, image: str) -> str:
        """Return the digest that an image was last seen with; empty if it never was."""
        entry = self._get(image)
        return entry.digest if entry else ""

    def put(self, image: str, result: CheckResult, now: float, *, is_named: bool = True) -> None:
        """Store a result.

        A failure of the registry shows nothing about the image: if it was there before,
        that result is kept until its time is over.

        Args:
            image: The image in normal form.
            result: The result.
            now: The current time.
            is_named: Whether a rule names the registry.
        """
        known = self._get(image)
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
        digest = result.digest or (known.digest if known else "")
        entry = _Entry(result, now + life, now + 2 * life, digest)
        self._valued.pop(image)
        self._others.pop(image)
        cache = self._valued if is_named and result.is_present else self._others
        size = ENTRY_BYTES + len(image) + len(result.detail) + len(digest)
        cache.put(image, entry, size)

    def _get(self, image: str) -> _Entry | None:
        return self._valued.get(image) or self._others.get(image)

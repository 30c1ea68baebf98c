"""The latest decisions and the counts of the last hour, for the console: in memory, and bounded."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat, starmap
from typing import TYPE_CHECKING, Final, TypeAlias

from webhook.admission import ReviewOutcome, ReviewResult
from webhook.objects import ImageDecision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhook.server.recorder import ReviewRecord

__all__ = ["MAX_RECORDS", "DecisionRecord", "History", "MinuteCounts"]

# Measured: 1,000 decisions take 0.4 to 2.4 MB, and 12 MB if each text is as long as it may be.
MAX_RECORDS: Final = 1000
MAX_TEXT: Final = 512
# Each candidate takes up to 3 KB, so decisions with more of them are shortened.
MAX_CANDIDATES: Final = 2

MINUTES: Final = 60
# Time, policy, namespace, name, operation, and whether it is a dry run.
_Pod: TypeAlias = tuple[datetime, str, str, str, str, bool]
ERROR_REASON: Final = "internal error; the log has the traceback"


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """The decision on one image, or on a whole Pod of which no image was looked at.

    Attributes:
        pod: The Pod's name, or its generateName.
        dry: Whether the request was a dry run.
        container: The name of the container or volume; empty for a whole Pod, as *image* is.
        image: The image as it was written.
        outcome: The outcome of the image; `skipped` or `error` for a whole Pod.
        rule: The rule that applied; empty if none did.
        candidate: The image that replaced it; empty if it stays unchanged.
    """

    time: datetime
    policy: str
    namespace: str
    pod: str
    operation: str
    dry: bool
    container: str
    image: str
    outcome: str
    rule: str
    candidate: str
    reason: str


@dataclass(frozen=True, slots=True)
class MinuteCounts:
    """How many images of one minute were rewritten, unchanged, or decided with a warning."""

    start: datetime
    rewritten: int
    unchanged: int
    warned: int


class History:
    """Keeps the latest decisions, the counts of the last hour, and the use of each mirror.

    Args:
        clock: Returns seconds since the epoch.

    Attributes:
        shares: How many images each mirror got since the start, by policy, rule and target.
            The rules bound their number.
        last_review: When the last review came, in seconds since the epoch; 0 before the first.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Records are made when somebody reads them, so that a review costs only two tuples.
        self._latest: deque[tuple[_Pod, ImageDecision | ReviewResult]] = deque(maxlen=MAX_RECORDS)
        self._minutes = [(0, [0, 0, 0]) for _ in range(MINUTES)]
        self.shares: dict[tuple[str, str, str], int] = {}
        self.last_review = 0.0

    def record(self, review: ReviewRecord) -> None:
        """Record one review."""
        now = self.last_review = self._clock()
        policy, _, namespace, name, operation, dry_run, result = review
        pod = datetime.fromtimestamp(now, UTC), policy, namespace, name, operation, dry_run
        if result.images:
            images = [
                each
                if len(each.decision.candidates) <= MAX_CANDIDATES
                and len(each.field.name)
                + len(each.field.pull_policy or "")
                + len(each.decision.original)
                + len(each.decision.reason)
                <= MAX_TEXT
                else _shorten(each)
                for each in result.images
            ]
            self._latest.extend(zip(repeat(pod), images))
            totals = result.totals
            minute = int(now) // 60
            number, counts = self._minutes[minute % MINUTES]
            if number != minute:
                counts = [0, 0, 0]
                self._minutes[minute % MINUTES] = minute, counts
            counts[0] += totals.rewritten
            counts[1] += totals.images - totals.rewritten - totals.warned
            counts[2] += totals.warned
            for (rule, target), count in totals.shares:
                share = policy, rule, target
                self.shares[share] = self.shares.get(share, 0) + count
        elif result.outcome is ReviewOutcome.ERROR or (
            result.outcome is ReviewOutcome.SKIPPED and operation == "CREATE"
        ):
            self._latest.append((pod, result))

    def list_latest(self) -> Iterator[DecisionRecord]:
        """Yield the decisions, the latest first."""
        # A copy, because the console reads in another thread.
        return starmap(_make_record, reversed(tuple(self._latest)))

    def list_minutes(self) -> list[MinuteCounts]:
        """Return the counts of each of the last sixty minutes, the current one last."""
        current = int(self._clock()) // 60
        hour = []
        for minute in range(current - MINUTES + 1, current + 1):
            number, counts = self._minutes[minute % MINUTES]
            start = datetime.fromtimestamp(minute * 60, UTC)
            hour.append(MinuteCounts(start, *(counts if number == minute else (0, 0, 0))))
        return hour


def _shorten(image: ImageDecision) -> ImageDecision:
    """Return an image without texts that no grammar bounds: they may have megabytes."""
    field, decision = image
    field = field._replace(name=field.name[:MAX_TEXT], image="", pull_policy=None)
    return ImageDecision(
        field,
        decision._replace(
            original=decision.original[:MAX_TEXT],
            reason=decision.reason[:MAX_TEXT],
            reference=None,
            candidates=(),
        ),
    )


def _make_record(pod: _Pod, entry: ImageDecision | ReviewResult) -> DecisionRecord:
    if isinstance(entry, ReviewResult):
        reason = ERROR_REASON if entry.outcome is ReviewOutcome.ERROR else entry.reason
        return DecisionRecord(*pod, "", "", str(entry.outcome), "", "", reason)
    field, decision = entry
    return DecisionRecord(
        *pod,
        container=(field.name or field.pointer)[:MAX_TEXT],
        image=decision.original,
        outcome=str(decision.outcome),
        rule="" if decision.rule is None else str(decision.rule)[:MAX_TEXT],
        candidate="" if decision.candidate is None else decision.image[:MAX_TEXT],
        reason=decision.reason[:MAX_TEXT],
    )

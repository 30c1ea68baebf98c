"""What became of the latest images, for people who ask why: kept in memory, within bounds."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.admission import ReviewOutcome, ReviewResult
from webhook.objects import Placement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhook.admission import Totals
    from webhook.core import Decision
    from webhook.server.recorder import Note

__all__ = ["History", "ImageNote", "Minute"]

# Some 3 MB at the very most, and 500 KB usually.
MAX_NOTES: Final = 1000
# Names can be as long as a whole body; nobody reads more of them.
MAX_TEXT: Final = 512
MAX_WEIGHT: Final = 1024
MINUTES: Final = 60
SECONDS: Final = 60

REWRITTEN, LEFT, DOUBTFUL = range(3)  # the counts of a minute
SKIPPED: Final = str(ReviewOutcome.SKIPPED)
ERROR: Final = str(ReviewOutcome.ERROR)
ERROR_REASON: Final = "internal error; the log has the traceback"


class ImageNote(NamedTuple):
    """What became of one image; or of a whole Pod, where none of its images was looked at.

    Attributes:
        time: When, in seconds since the epoch.
        policy: The policy.
        namespace: The Pod's namespace.
        pod: The Pod's name, or the one that the API server is to make a name of.
        operation: ``CREATE`` or ``UPDATE``.
        dry_run: Whether nothing was to be stored.
        container: Where the image stands; empty for a whole Pod.
        image: The image as it was written; empty for a whole Pod.
        outcome: The outcome in one word.
        rule: The rule that matched; empty for none.
        candidate: The image that took its place; empty where it stays.
        reason: Why.
    """

    time: float
    policy: str
    namespace: str
    pod: str
    operation: str
    dry_run: bool
    container: str
    image: str
    outcome: str
    rule: str
    candidate: str
    reason: str


class Minute(NamedTuple):
    """How many images of one minute were rewritten, left alone, or decided on doubt.

    Attributes:
        start: Its begin, in seconds since the epoch.
    """

    start: int
    rewritten: int
    left: int
    doubtful: int


class History:
    """Keeps the latest decisions, the counts of the last hour, and who was sent where.

    Args:
        clock: Gives seconds since the epoch.

    Attributes:
        shares: How many images were sent to each mirror since the start, by policy, rule
            and target. The rules bound their number.
        last_review: When the last review came; 0 before the first.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pods: deque[tuple[float, Note]] = deque()
        self._notes = 0
        self._counts = [(0, [0, 0, 0]) for _ in range(MINUTES)]
        self.shares: dict[tuple[str, str, str], int] = {}
        self.last_review = 0.0

    def noted(self, note: Note) -> None:
        """Keep one review."""
        self.last_review = self._clock()
        verdict = note.verdict
        if verdict.totals.images or (
            verdict.outcome is ReviewOutcome.SKIPPED and note.operation == "CREATE"
        ):
            self._keep(note)

    def counted(self, policy: str, _result: ReviewOutcome, totals: Totals, times: int) -> None:
        """Count reviews that came to the same."""
        counts = self._minute(self._clock())
        counts[REWRITTEN] += times * totals.rewritten
        counts[DOUBTFUL] += times * totals.doubtful
        counts[LEFT] += times * (totals.images - totals.rewritten - totals.doubtful)
        for (rule, target), count in totals.shares:
            share = policy, rule, target
            self.shares[share] = self.shares.get(share, 0) + times * count

    def failed(self, note: Note, error: Exception) -> None:  # noqa: ARG002 - the log has the error
        """Keep an error of ours."""
        self.last_review = self._clock()
        self._keep(note)

    def latest(self) -> Iterator[ImageNote]:
        """Yield the decisions, the latest first."""
        # A copy, as another thread may be the one that looks.
        pods = reversed(tuple(self._pods))
        return islice((note for each in pods for note in notes_of(*each)), MAX_NOTES)

    def last_hour(self) -> list[Minute]:
        """Return the counts of each of the last sixty minutes, this one last."""
        this = int(self._clock()) // SECONDS
        minutes = []
        for number in range(this - MINUTES + 1, this + 1):
            known, counts = self._counts[number % MINUTES]
            found = counts if known == number else (0, 0, 0)
            minutes.append(Minute(number * SECONDS, *found))
        return minutes

    def _keep(self, note: Note) -> None:
        _, uid, namespace, pod, operation, _, verdict = note
        length = len(uid) + len(namespace) + len(pod) + len(operation) + len(verdict.reason)
        if length > MAX_TEXT or verdict.weight > MAX_WEIGHT:
            note = bounded(note)
        pods = self._pods
        pods.append((self.last_review, note))
        self._notes += size_of(note)
        while self._notes - size_of(pods[0][1]) >= MAX_NOTES:
            self._notes -= size_of(pods.popleft()[1])

    def _minute(self, now: float) -> list[int]:
        number = int(now) // SECONDS
        known, counts = self._counts[number % MINUTES]
        if known != number:
            counts = [0, 0, 0]
            self._counts[number % MINUTES] = number, counts
        return counts


def size_of(note: Note) -> int:
    """Return how many notes a Pod makes."""
    return note.verdict.totals.images or 1


def notes_of(time: float, note: Note) -> Iterator[ImageNote]:
    """Yield the notes of a Pod, that of its last image first."""
    policy, _, namespace, name, operation, dry_run, verdict = note
    pod = time, policy, namespace, name, operation, dry_run
    if not verdict.totals.images:
        reason = ERROR_REASON if verdict.outcome is ReviewOutcome.ERROR else verdict.reason
        yield ImageNote(*pod, "", "", str(verdict.outcome), "", "", reason)
        return
    for slot, decision in reversed(verdict.images):
        yield ImageNote(*pod, (slot.name or slot.pointer)[:MAX_TEXT], *told_of(decision))


def bounded(note: Note) -> Note:
    """Return a note that does not take more than its share of memory.

    Most are kept as they are: their verdict the policy remembers, too.
    """
    verdict = note.verdict
    return note._replace(
        uid="",
        namespace=note.namespace[:MAX_TEXT],
        pod=note.pod[:MAX_TEXT],
        operation=note.operation[:MAX_TEXT],
        verdict=ReviewResult(
            verdict.outcome,
            verdict.reason[:MAX_TEXT],
            images=tuple(
                Placement(
                    slot._replace(
                        pointer=slot.pointer[:MAX_TEXT], name=slot.name[:MAX_TEXT], image=""
                    ),
                    decision._replace(
                        original=decision.original[:MAX_TEXT], candidates=(), reference=None
                    ),
                )
                for slot, decision in verdict.images[-MAX_NOTES:]
            ),
        ),
    )


def told_of(decision: Decision) -> tuple[str, str, str, str, str]:
    """Return the fields of a note that are the image's own, as texts."""
    return (
        decision.original,
        str(decision.outcome),
        "" if decision.rule is None else str(decision.rule)[:MAX_TEXT],
        "" if decision.candidate is None else decision.image[:MAX_TEXT],
        decision.reason[:MAX_TEXT],
    )

"""
What became of the latest images, for people who ask why: kept in memory, within bounds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from webhook.admission import Result
from webhook.server.recording import pod_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhook.admission import AdmissionRequest, Verdict
    from webhook.core import Decision

__all__ = ["History", "Minute", "Note"]

# Some 3 MB at the very most, and 500 KB usually.
MAX_NOTES: Final = 1000
# Names can be as long as a whole body; nobody reads more of them.
MAX_TEXT: Final = 512
MAX_CANDIDATES: Final = 8
MINUTES: Final = 60
SECONDS: Final = 60

REWRITTEN, LEFT, DOUBTFUL = range(3)  # the counts of a minute
SKIPPED: Final = "skipped"
ERROR: Final = "error"
ERROR_REASON: Final = "internal error; the log has the traceback"


class Note(NamedTuple):
    """
    What became of one image; or of a whole Pod, where none of its images was looked at.

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
    """
    How many images of one minute were rewritten, left alone, or decided on doubt.

    Attributes:
        start: Its begin, in seconds since the epoch.
    """

    start: int
    rewritten: int
    left: int
    doubtful: int


# What notes of one Pod have in common. Texts are made of the rest when somebody looks.
OfPod: TypeAlias = tuple[float, str, str, str, str, bool]


class History:
    """
    Keeps the latest decisions, the counts of the last hour, and who was sent where.

    Args:
        clock: Gives seconds since the epoch.

    Attributes:
        shares: How many images were sent to each mirror since the start, by policy, rule
            and target. The rules bound their number.
        last_review: When the last review came; 0 before the first.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._notes: deque[tuple[OfPod, str, Decision | str]] = deque(maxlen=MAX_NOTES)
        self._counts = [(0, [0, 0, 0]) for _ in range(MINUTES)]
        self.shares: dict[tuple[str, str, str], int] = {}
        self.last_review = 0.0

    def reviewed(self, policy: str, request: AdmissionRequest, verdict: Verdict) -> None:
        """
        Note one review.
        """
        now = self.last_review = self._clock()
        if verdict.placements:
            counts = self._minute(now)
            pod = self._pod(now, policy, request)
            note, shares = self._notes.append, self.shares
            for slot, decision in verdict.placements:
                note((pod, (slot.name or slot.pointer)[:MAX_TEXT], bounded(decision)))
                candidate = decision.candidate
                if decision.outcome.is_doubtful:
                    counts[DOUBTFUL] += 1
                elif candidate is None:
                    counts[LEFT] += 1
                else:
                    counts[REWRITTEN] += 1
                if candidate is not None:
                    share = policy, candidate.rule.name, candidate.mirror.target
                    shares[share] = shares.get(share, 0) + 1
        elif verdict.result is Result.SKIPPED and request.operation == "CREATE":
            pod = self._pod(now, policy, request)
            self._notes.append((pod, SKIPPED, verdict.reason))

    def failed(self, policy: str, request: AdmissionRequest, error: Exception) -> None:  # noqa: ARG002 - the log has the error
        """
        Note an error of ours.
        """
        now = self.last_review = self._clock()
        self._notes.append((self._pod(now, policy, request), ERROR, ERROR_REASON))

    def latest(self) -> Iterator[Note]:
        """
        Yield the decisions, the latest first.
        """
        # A copy, as another thread may be the one that looks.
        for pod, name, told in reversed(tuple(self._notes)):
            if isinstance(told, str):
                yield Note(*pod, "", "", name, "", "", told)
            else:
                yield Note(*pod, name, *told_of(told))

    def last_hour(self) -> list[Minute]:
        """
        Return the counts of each of the last sixty minutes, this one last.
        """
        this = int(self._clock()) // SECONDS
        minutes = []
        for number in range(this - MINUTES + 1, this + 1):
            known, counts = self._counts[number % MINUTES]
            found = counts if known == number else (0, 0, 0)
            minutes.append(Minute(number * SECONDS, *found))
        return minutes

    def _minute(self, now: float) -> list[int]:
        number = int(now) // SECONDS
        known, counts = self._counts[number % MINUTES]
        if known != number:
            counts = [0, 0, 0]
            self._counts[number % MINUTES] = number, counts
        return counts

    @staticmethod
    def _pod(now: float, policy: str, request: AdmissionRequest) -> OfPod:
        return (
            now,
            policy,
            (request.namespace or "")[:MAX_TEXT],
            pod_name(request)[:MAX_TEXT],
            (request.operation or "")[:MAX_TEXT],
            bool(request.dry_run),
        )


def bounded(decision: Decision) -> Decision:
    """
    Return a decision that does not take more than its share of memory.

    Most are kept as they are: the policy remembers them, too.
    """
    if len(decision.original) <= MAX_TEXT and len(decision.candidates) <= MAX_CANDIDATES:
        return decision
    return replace(decision, original=decision.original[:MAX_TEXT], candidates=())


def told_of(decision: Decision) -> tuple[str, str, str, str, str]:
    """
    Return the fields of a note that are the image's own, as texts.
    """
    return (
        decision.original,
        str(decision.outcome),
        "" if decision.rule is None else str(decision.rule)[:MAX_TEXT],
        "" if decision.candidate is None else decision.image[:MAX_TEXT],
        decision.reason[:MAX_TEXT],
    )

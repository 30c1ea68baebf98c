"""
What became of the latest images, for people who ask why: kept in memory, within bounds.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from webhook.admission import Result
from webhook.server.recording import pod_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhook.admission import AdmissionRequest, Verdict
    from webhook.core import Candidate, Decision, Outcome, Rule

__all__ = ["History", "Minute", "Note"]

# Some 3 MB at the very most, and 500 KB usually.
MAX_NOTES: Final = 1000
# Names can be as long as a whole body; nobody reads more of them.
MAX_TEXT: Final = 512
MINUTES: Final = 60
SECONDS: Final = 60

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


# What is kept within the request: texts are made of it when somebody looks.
OfPod: TypeAlias = tuple[float, str, str, str, str, bool]
OfImage: TypeAlias = "tuple[str, Outcome, Rule | None, Candidate | None, str]"


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
        self._notes: deque[tuple[OfPod, str, OfImage | str]] = deque(maxlen=MAX_NOTES)
        self._counts = [(0, [0, 0, 0]) for _ in range(MINUTES)]
        self.shares: Counter[tuple[str, str, str]] = Counter()
        self.last_review = 0.0

    def reviewed(self, policy: str, request: AdmissionRequest, verdict: Verdict) -> None:
        """
        Note one review.
        """
        now = self.last_review = self._clock()
        if verdict.placements:
            counts = self._minute(now)
            pod = self._pod(now, policy, request)
            for slot, decision in verdict.placements:
                self._notes.append(
                    (pod, (slot.name or slot.pointer)[:MAX_TEXT], bounded(decision))
                )
                self._count(policy, decision, counts)
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

    def _count(self, policy: str, decision: Decision, counts: list[int]) -> None:
        candidate = decision.candidate
        if candidate is None:
            counts[2 if decision.outcome.is_doubtful else 1] += 1
            return
        counts[2 if decision.outcome.is_doubtful else 0] += 1
        self.shares[policy, candidate.rule.name, candidate.mirror.target] += 1

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


def bounded(decision: Decision) -> OfImage:
    """
    Return of a decision what is shown, without its other candidates.
    """
    return (
        decision.original[:MAX_TEXT],
        decision.outcome,
        decision.rule,
        decision.candidate,
        decision.reason[:MAX_TEXT],
    )


def told_of(image: OfImage) -> tuple[str, str, str, str, str]:
    """
    Return the fields of a note that are the image's own, as texts.
    """
    original, outcome, rule, candidate, reason = image
    return (
        original,
        str(outcome),
        "" if rule is None else str(rule)[:MAX_TEXT],
        "" if candidate is None else str(candidate)[:MAX_TEXT],
        reason,
    )

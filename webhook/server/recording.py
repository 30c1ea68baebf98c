"""What became of each review, told to metrics and log in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from webhook.admission import Result
from webhook.telemetry import ReviewLine

if TYPE_CHECKING:
    from webhook.admission import AdmissionRequest, Totals, Verdict
    from webhook.telemetry import Log, Metrics

__all__ = ["Note", "Observer", "Recording", "Together", "note_of"]

# Looking a member of an enumeration up costs as much as a quarter of a line.
PATCHED: Final = Result.PATCHED
OBSERVED: Final = Result.OBSERVED


class Note(NamedTuple):
    """What is kept of a review until it is told, without the Pod.

    Attributes:
        policy: The policy.
        uid: The uid of the request.
        namespace: The Pod's namespace.
        pod: The Pod's name, or the one that the API server is to make a name of.
        operation: ``CREATE`` or ``UPDATE``.
        dry_run: Whether nothing was to be stored.
        verdict: What became of it.
    """

    policy: str
    uid: str
    namespace: str
    pod: str
    operation: str
    dry_run: bool
    verdict: Verdict


def note_of(policy: str, request: AdmissionRequest, verdict: Verdict) -> Note:
    """Return what is to be told of a review."""
    metadata = request.object.metadata if request.object else None
    name = request.name or (metadata and (metadata.name or metadata.generate_name))
    return Note(
        policy,
        request.uid,
        request.namespace or "",
        name or "",
        request.operation or "",
        bool(request.dry_run),
        verdict,
    )


class Observer(Protocol):
    """Who is told of each review, and then how many there were of a kind."""

    def noted(self, note: Note) -> None:
        """Take one review down."""

    def counted(self, policy: str, result: Result, totals: Totals, times: int) -> None:
        """Count reviews that were noted, and came to the same."""

    def failed(self, note: Note, error: Exception) -> None:
        """Take down an error of ours, on which the Pod was left as it is."""


class Recording:
    """Notes reviews; a review that did nothing is counted, but not logged.

    Args:
        log: Takes a line for each review that did something.
        metrics: Counts.
    """

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics

    def noted(self, note: Note) -> None:
        """Log one review."""
        verdict = note.verdict
        result, doubtful = verdict.result, verdict.totals.doubtful
        if doubtful or result is PATCHED or result is OBSERVED:
            self._log.line(
                ReviewLine(
                    self._log.time(),
                    "warning" if doubtful else "info",
                    "review",
                    *note[:-1],
                    result,
                    verdict.decisions,
                )
            )

    def counted(self, policy: str, result: Result, totals: Totals, times: int) -> None:
        """Count reviews that came to the same."""
        self._metrics.review(policy, result, times)
        for (rule, outcome), count in totals.outcomes:
            self._metrics.image(policy, rule, outcome, count * times)

    def failed(self, note: Note, error: Exception) -> None:
        """Note an error of ours."""
        self._metrics.review(note.policy, Result.ERROR)
        self._metrics.error()
        self._log.failure(
            "review failed, its Pod was left as it is",
            error,
            policy=note.policy,
            uid=note.uid,
            namespace=note.namespace,
            pod=note.pod,
            operation=note.operation,
            dryRun=note.dry_run,
        )


class Together:
    """Several observers that are told the same."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def noted(self, note: Note) -> None:
        """Take one review down."""
        for observer in self._observers:
            observer.noted(note)

    def counted(self, policy: str, result: Result, totals: Totals, times: int) -> None:
        """Count reviews that came to the same."""
        for observer in self._observers:
            observer.counted(policy, result, totals, times)

    def failed(self, note: Note, error: Exception) -> None:
        """Take down an error of ours."""
        for observer in self._observers:
            observer.failed(note, error)

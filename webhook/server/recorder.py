"""Recording review results in log, metrics and history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.admission import INTERNAL_ERROR, ReviewOutcome
from webhook.telemetry import ReviewLine

if TYPE_CHECKING:
    from webhook.admission import AdmissionRequest, ReviewResult
    from webhook.server.history import History
    from webhook.telemetry import Log, Metrics

__all__ = ["Note", "ReviewRecorder"]

LOGGED: Final = (ReviewOutcome.PATCHED, ReviewOutcome.OBSERVED)


class Note(NamedTuple):
    """A review as it is recorded, without the Pod.

    Attributes:
        policy: The policy.
        uid: The uid of the request.
        namespace: The Pod's namespace.
        pod: The Pod's name, or its generateName.
        operation: ``CREATE`` or ``UPDATE``.
        dry_run: Whether the request was a dry run.
        verdict: The result.
    """

    policy: str
    uid: str
    namespace: str
    pod: str
    operation: str
    dry_run: bool
    verdict: ReviewResult


class ReviewRecorder:
    """Records each review; one that changed nothing is counted, but not logged.

    Args:
        log: Gets a line for each review that did something.
        metrics: Counts reviews and images.
        history: Keeps the latest for the console; None without a console.
    """

    def __init__(self, log: Log, metrics: Metrics, history: History | None = None) -> None:
        self._log = log
        self._metrics = metrics
        self._history = history

    def record_review(self, policy: str, request: AdmissionRequest, verdict: ReviewResult) -> None:
        """Record one review; an error here changes no answer."""
        try:
            note = _note_of(policy, request, verdict)
            self._log_review(note)
            self._count(note)
            if self._history is not None:
                self._history.record(note)
        except Exception as error:  # noqa: BLE001 - the Pod is answered all the same
            self._log.unexpected_error("a review could not be noted", error, uid=request.uid)

    def record_error(self, policy: str, request: AdmissionRequest, error: Exception) -> None:
        """Record an internal error, on which the Pod was left unchanged."""
        note = _note_of(policy, request, INTERNAL_ERROR)
        self._metrics.count_review(policy, ReviewOutcome.ERROR)
        self._metrics.count_error()
        self._log.unexpected_error(
            "review failed, its Pod was left as it is",
            error,
            policy=policy,
            uid=note.uid,
            namespace=note.namespace,
            pod=note.pod,
            operation=note.operation,
            dryRun=note.dry_run,
        )
        if self._history is not None:
            self._history.record(note)

    def _log_review(self, note: Note) -> None:
        verdict = note.verdict
        is_doubtful = verdict.totals.warned
        if is_doubtful or verdict.outcome in LOGGED:
            self._log.write_line(
                ReviewLine(
                    self._log.timestamp(),
                    "warning" if is_doubtful else "info",
                    "review",
                    *note[:-1],
                    verdict.outcome,
                    verdict.decisions,
                )
            )

    def _count(self, note: Note) -> None:
        verdict = note.verdict
        self._metrics.count_review(note.policy, verdict.outcome)
        for (rule, outcome), count in verdict.totals.outcomes:
            self._metrics.count_images(note.policy, rule, outcome, count)


def _note_of(policy: str, request: AdmissionRequest, verdict: ReviewResult) -> Note:
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

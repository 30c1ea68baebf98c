"""Recording review results in log, metrics and history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.admission import INTERNAL_ERROR, ReviewOutcome
from webhook.telemetry import ReviewLine

if TYPE_CHECKING:
    from webhook.admission import AdmissionRequest, ReviewResult
    from webhook.objects import ObjectMeta
    from webhook.server.history import History
    from webhook.telemetry import Log, Metrics

__all__ = ["ReviewRecord", "ReviewRecorder"]

# The longest that Kubernetes allows for names; a review comes before they are checked.
MAX_NAME: Final = 253


class ReviewRecord(NamedTuple):
    """A review as it is recorded, without the Pod.

    Attributes:
        policy: The policy.
        uid: The uid of the request.
        namespace: The Pod's namespace.
        pod: The Pod's name, or its generateName.
        operation: ``CREATE`` or ``UPDATE``.
        dry_run: Whether the request was a dry run.
        result: The result.
        metadata: The Pod's metadata, if it has any.
    """

    policy: str
    uid: str
    namespace: str
    pod: str
    operation: str
    dry_run: bool
    result: ReviewResult
    metadata: ObjectMeta | None


class ReviewRecorder:
    """Records each review.

    Args:
        log: Gets a line for each review; one that looked at no image is logged at ``debug``.
        metrics: Counts reviews and images.
        history: Keeps the latest for the console; None without a console.
    """

    def __init__(self, log: Log, metrics: Metrics, history: History | None = None) -> None:
        self._log = log
        self._metrics = metrics
        self._history = history

    def record_review(self, policy: str, request: AdmissionRequest, result: ReviewResult) -> None:
        """Record one review; an error here changes no answer."""
        try:
            record = _make_record(policy, request, result)
            totals = result.totals
            if totals.warned or result.warning:
                level = "warning"
            else:
                level = "info" if result.images else "debug"
            if level in self._log.levels:
                line = ReviewLine(
                    self._log.timestamp(),
                    level,
                    "review",
                    *record[:6],
                    result.outcome,
                    result.decisions,
                    result.reason,
                )
                self._log.write(self._log.encode(line))
            self._metrics.count_review(policy, result.outcome, totals.outcomes)
            if self._history is not None:
                self._history.record(record)
        except Exception as error:  # noqa: BLE001 - the Pod is answered all the same
            self._log.failure("a review could not be recorded", error, uid=request.uid)

    def record_error(self, policy: str, request: AdmissionRequest, error: Exception) -> None:
        """Record an internal error, after which the Pod was admitted unchanged."""
        record = _make_record(policy, request, INTERNAL_ERROR)
        self._metrics.count_review(policy, ReviewOutcome.ERROR)
        self._metrics.count_error()
        self._log.failure(
            "review failed, the Pod was admitted unchanged",
            error,
            policy=policy,
            uid=record.uid,
            namespace=record.namespace,
            pod=record.pod,
            operation=record.operation,
            dryRun=record.dry_run,
        )
        if self._history is not None:
            self._history.record(record)


def _make_record(policy: str, request: AdmissionRequest, result: ReviewResult) -> ReviewRecord:
    metadata = request.object.metadata if request.object else None
    name = request.name or (metadata and (metadata.name or metadata.generate_name))
    return ReviewRecord(
        policy,
        request.uid[:MAX_NAME],
        (request.namespace or "")[:MAX_NAME],
        (name or "")[:MAX_NAME],
        (request.operation or "")[:MAX_NAME],
        bool(request.dry_run),
        result,
        metadata or None,
    )

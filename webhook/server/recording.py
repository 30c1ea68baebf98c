"""
What became of each review, told to metrics and log in the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webhook.admission import Result

if TYPE_CHECKING:
    from webhook.admission import AdmissionRequest, Recorder, Verdict
    from webhook.telemetry import Log, Metrics

__all__ = ["Recording", "Together", "pod_name"]


class Recording:
    """
    Notes reviews; a review that did nothing is counted, but not logged.

    Args:
        log: Takes a line for each review that did something.
        metrics: Counts.
    """

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics

    def reviewed(self, policy: str, request: AdmissionRequest, verdict: Verdict) -> None:
        """
        Note one review.
        """
        metrics, result = self._metrics, verdict.result
        metrics.review(policy, result)
        totals = verdict.totals
        for (rule, outcome), count in totals.outcomes:
            metrics.image(policy, rule, outcome, count)
        doubtful = totals.doubtful
        if doubtful or result is Result.PATCHED or result is Result.OBSERVED:
            note = self._log.warning if doubtful else self._log.info
            note(
                "review",
                **identified(policy, request),
                result=result,
                images=verdict.decisions,
            )

    def failed(self, policy: str, request: AdmissionRequest, error: Exception) -> None:
        """
        Note an error of ours.
        """
        self._metrics.review(policy, Result.ERROR)
        self._metrics.error()
        self._log.failure(
            "review failed, its Pod was left as it is",
            error,
            **identified(policy, request),
        )


class Together:
    """
    Several recorders that are told the same.
    """

    def __init__(self, *recorders: Recorder) -> None:
        self._recorders = recorders

    def reviewed(self, policy: str, request: AdmissionRequest, verdict: Verdict) -> None:
        """
        Note one review.
        """
        for recorder in self._recorders:
            recorder.reviewed(policy, request, verdict)

    def failed(self, policy: str, request: AdmissionRequest, error: Exception) -> None:
        """
        Note an error of ours.
        """
        for recorder in self._recorders:
            recorder.failed(policy, request, error)


def identified(policy: str, request: AdmissionRequest) -> dict[str, Any]:
    """
    Return what tells one review from another.
    """
    return {
        "policy": policy,
        "uid": request.uid,
        "namespace": request.namespace or "",
        "pod": pod_name(request),
        "operation": request.operation,
        "dryRun": bool(request.dry_run),
    }


def pod_name(request: AdmissionRequest) -> str:
    """
    Return the Pod's name, or the one that the API server is to make a name of.
    """
    metadata = request.object.metadata if request.object else None
    name = request.name or (metadata and (metadata.name or metadata.generate_name))
    return name or ""

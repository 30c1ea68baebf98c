"""What API server and replicas know of a review: their metrics and logs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from webhook.cli.doctor.replicas import list_replicas, read_log
from webhook.cli.doctor.webhooks import WebhookEntry
from webhook.kube import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webhook.cli.doctor.installation import Rewriter
    from webhook.kube.client import KubeClient

__all__ = ["CallCounts", "LoggedReview", "find_review", "read_call_counts"]

# Series of the API server that count what it did with a webhook or a policy.
SERIES: Final = re.compile(r"^([a-z_]+)\{([^}]*)\} ([0-9.e+]+)$", re.MULTILINE)
EXCLUDED: Final = "apiserver_admission_match_condition_exclusions_total"
FAILED: Final = "apiserver_admission_webhook_fail_open_count"
CALLED: Final = "apiserver_admission_webhook_admission_duration_seconds_count"
EVALUATED: Final = "apiserver_mutating_admission_policy_check_total"
NO_ERROR: Final = 'error_type="no_error"'
# The log of a replica is read from the creation of a Pod on: 2 MiB are seconds of a busy cluster.
MAX_LOG: Final = 2 * 1024 * 1024
# Between the review of a Pod and its creationTimestamp, which has no fractions; clocks differ.
MAX_GAP: Final = timedelta(seconds=10)
REVIEW: Final = "review"
FAILURE: Final = "review failed, the Pod was admitted unchanged"


class CallCounts(NamedTuple):
    """How often an API server did what with a webhook or a policy, since it started.

    Attributes:
        excluded: A match condition excluded the request.
        called: It was called or evaluated.
        failed: It failed, and the request went on without it.
    """

    excluded: float = 0
    called: float = 0
    failed: float = 0

    def since(self, before: CallCounts) -> CallCounts:
        """Return what was counted since earlier counts."""
        return CallCounts(*(now - then for now, then in zip(self, before, strict=True)))


def read_call_counts(reader: KubeClient, rewriter: Rewriter) -> CallCounts:
    """Return what the API server counts of a webhook or a policy.

    Raises:
        ClusterError: Its metrics may not be read.
    """
    is_webhook = isinstance(rewriter, WebhookEntry)
    name = rewriter.name if isinstance(rewriter, WebhookEntry) else rewriter.policy
    excluded = called = failed = 0.0
    for metric, labels, value in SERIES.findall(reader.get_text("/metrics")):
        if f'name="{name}"' not in labels and f'policy="{name}"' not in labels:
            continue
        if metric == EXCLUDED:
            excluded += float(value)
        elif metric == (CALLED if is_webhook else EVALUATED):
            called += float(value)
            failed += 0 if is_webhook or NO_ERROR in labels else float(value)
        elif metric == FAILED:
            failed += float(value)
    return CallCounts(excluded, called, failed)


class LoggedReview(NamedTuple):
    """The review of a Pod, as the log of a replica has it.

    Attributes:
        replica: The replica.
        time: When it was, in RFC 3339.
        result: Its outcome.
        reason: Why no image was looked at; empty if some were.
        images: The outcome and the reason for each image, by container.
    """

    replica: str
    time: str
    result: str
    reason: str
    images: Mapping[str, tuple[str, str]]


def find_review(
    reader: KubeClient, entry: WebhookEntry, metadata: Mapping[str, Any]
) -> LoggedReview | None:
    """Return the review of a new Pod from the logs of the replicas.

    Args:
        reader: The cluster.
        entry: The webhook.
        metadata: The Pod's metadata.

    Returns:
        None if no replica that still exists has logged it, or if logs cannot be read.
    """
    created = _parse_time(metadata.get("creationTimestamp"))
    names = {metadata.get("name"), metadata.get("generateName")} - {None, ""}
    if created is None:
        return None
    found: list[tuple[timedelta, LoggedReview]] = []
    since = (created - MAX_GAP).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = {"sinceTime": since, "limitBytes": str(MAX_LOG)}
    try:
        for pod in list_replicas(reader, entry):
            name = pod["metadata"]["name"]
            for line in _parse_lines(read_log(reader, pod, query)):
                is_its = line.get("pod") in names and line.get("policy") == entry.policy
                if is_its and line.get("namespace") == metadata.get("namespace"):
                    gap = abs(
                        (_parse_time(line.get("time")) or datetime.min.replace(tzinfo=UTC))
                        - created
                    )
                    if gap <= MAX_GAP:
                        found.append((gap, _read_review(name, line)))
    except ClusterError:
        pass  # other evidence has to do
    return min(found, key=lambda each: each[0])[1] if found else None


def _parse_lines(text: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a log that are about the creation of a Pod."""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the last line may be cut
            continue
        if not isinstance(entry, dict) or entry.get("event") not in (REVIEW, FAILURE):
            continue
        if entry.get("operation") == "CREATE" and not entry.get("dryRun"):
            yield entry


def _read_review(replica: str, line: Mapping[str, Any]) -> LoggedReview:
    images = {each["name"]: (each["outcome"], each["reason"]) for each in line.get("images") or ()}
    is_failure = line["event"] == FAILURE
    return LoggedReview(
        replica=replica,
        time=str(line.get("time")),
        result="error" if is_failure else str(line.get("result")),
        reason="an internal error; its log has the traceback"
        if is_failure
        else line.get("reason", ""),
        images=images,
    )


def _parse_time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None

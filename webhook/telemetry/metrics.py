"""Metrics in the Prometheus text format, named after its conventions.

Labels hold policies, rules and outcomes, whose number the rules file bounds; never an image,
a Pod or a namespace.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    Summary,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Metrics"]

# A review takes well under a millisecond; the API server gives up after seconds.
BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025)
SLOW_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
CHECK_BUCKETS: Final = (0.005, 0.01, 0.025, *SLOW_BUCKETS)


class Metrics:
    """The metrics of one process, in a registry of their own.

    Args:
        version: Version of mirrorhook.
        dropped_lines: Returns how many log lines were dropped.
    """

    def __init__(self, version: str, dropped_lines: Callable[[], float]) -> None:
        # They are a second series for each counter.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self._registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        Info("mirrorhook_build", "Version of mirrorhook.", registry=registry).info(
            {"version": version}
        )
        reviews = Counter(
            "mirrorhook_reviews",
            "Admission reviews answered, by policy and result.",
            ("policy", "result"),
            registry=registry,
        )
        images = Counter(
            "mirrorhook_images",
            "Images by policy, rule (empty if none matched) and outcome.",
            ("policy", "rule", "outcome"),
            registry=registry,
        )
        # `labels` checks its arguments at each call, which costs more than counting.
        self._reviews = cache(reviews.labels)
        self._images = cache(images.labels)
        self._duration = Histogram(
            "mirrorhook_review_duration_seconds",
            "Time from the last byte of a review to its answer.",
            buckets=BUCKETS + SLOW_BUCKETS,
            registry=registry,
        )
        self._last_review = 0.0
        Gauge(
            "mirrorhook_last_review_timestamp_seconds",
            "Time of the last review; 0 before the first.",
            registry=registry,
        ).set_function(lambda: self._last_review)
        self._checks = Counter(
            "mirrorhook_probes",
            "Image checks, by mirror and answer.",
            ("mirror", "answer"),
            registry=registry,
        )
        self._check_duration = Histogram(
            "mirrorhook_probe_duration_seconds",
            "Duration of an image check.",
            buckets=CHECK_BUCKETS,
            registry=registry,
        )
        self._down = Gauge(
            "mirrorhook_registries_down",
            "Registries that are not used because they failed repeatedly.",
            registry=registry,
        )
        self._refused = Counter(
            "mirrorhook_requests_refused",
            "Requests answered with an error, by HTTP status.",
            ("code",),
            registry=registry,
        )
        self._closed = Counter(
            "mirrorhook_connections_closed",
            "Connections that were refused or closed to protect the replica, by reason.",
            ("reason",),
            registry=registry,
        )
        self._errors = Counter(
            "mirrorhook_errors",
            "Internal errors after which a Pod was admitted unchanged.",
            registry=registry,
        )
        self._loops = Counter(
            "mirrorhook_loops",
            "Owners skipped because they kept recreating a rewritten Pod.",
            registry=registry,
        )
        self._reloads = Counter(
            "mirrorhook_config_reloads",
            "Reloads of the rules file, by result (success or failure).",
            ("result",),
            registry=registry,
        )
        self._reload_state = Gauge(
            "mirrorhook_config_last_reload_successful",
            "1 if the rules in use match the file, 0 if the file was rejected.",
            registry=registry,
        )
        self._loaded = Gauge(
            "mirrorhook_config_last_reload_success_timestamp_seconds",
            "When the rules in use were loaded.",
            registry=registry,
        )
        self._resources = Gauge(
            "mirrorhook_custom_resources",
            "Custom resources by kind and state (accepted or refused).",
            ("kind", "state"),
            registry=registry,
        )
        self._builds = Summary(
            "mirrorhook_custom_resources_build_seconds",
            "How long it took to add custom resources to the rules, at each change.",
            registry=registry,
        )
        self._unwatched = Gauge(
            "mirrorhook_custom_resources_unwatched_kinds",
            "Kinds of objects that may be out of date, as the API server does not answer.",
            registry=registry,
        )
        self._status_writes = Counter(
            "mirrorhook_custom_resources_status_writes",
            "Custom resources whose status this replica has written.",
            registry=registry,
        )
        self._certificate_expiry = Gauge(
            "mirrorhook_certificate_expiry_timestamp_seconds",
            "When the serving certificate expires.",
            registry=registry,
        )
        self._certificate_reloads = Counter(
            "mirrorhook_certificate_reloads",
            "Reloads of the certificate, by result (success or failure).",
            ("result",),
            registry=registry,
        )
        Gauge(
            "mirrorhook_log_lines_dropped",
            "Log lines dropped because they were not read in time.",
            registry=registry,
        ).set_function(dropped_lines)
        for result in ("success", "failure"):
            self._reloads.labels(result)
            self._certificate_reloads.labels(result)

    def count_review(
        self, policy: str, result: str, images: Iterable[tuple[tuple[str, str], int]] = ()
    ) -> None:
        """Count a review, and its images.

        Args:
            policy: The policy.
            result: The outcome of the review.
            images: How many images had the same rule (empty for none) and outcome.
        """
        self._reviews(policy, result).inc()
        for (rule, outcome), count in images:
            self._images(policy, rule, outcome).inc(count)

    def observe_review(self, seconds: float, now: float) -> None:
        """Record how long an answer took, and when it was given, in seconds since the epoch."""
        self._duration.observe(seconds)
        self._last_review = now

    def observe_check(self, mirror: str, answer: str, seconds: float) -> None:
        """Count an image check, by the mirror's target, and record how long it took."""
        self._checks.labels(mirror, answer).inc()
        self._check_duration.observe(seconds)

    def set_registries_down(self, count: int) -> None:
        """Record how many registries are not asked at the moment."""
        self._down.set(count)

    def count_refusal(self, code: int) -> None:
        """Count a request that was refused."""
        self._refused.labels(str(code)).inc()

    def count_closed_connection(self, reason: str) -> None:
        """Count a connection that was refused, or closed to protect the replica."""
        self._closed.labels(reason).inc()

    def count_error(self) -> None:
        """Count an internal error."""
        self._errors.inc()

    def count_loop(self) -> None:
        """Count an owner whose Pods are skipped."""
        self._loops.inc()

    def record_configuration(self, now: float) -> None:
        """Record that the rules file was loaded, at *now* seconds since the epoch."""
        self._reloads.labels("success").inc()
        self._reload_state.set(1)
        self._loaded.set(now)

    def record_refused_configuration(self) -> None:
        """Record that the rules file was refused."""
        self._reloads.labels("failure").inc()
        self._reload_state.set(0)

    def set_resources(self, kind: str, count: int, *, accepted: bool) -> None:
        """Record how many custom resources of a kind are in use, or are refused."""
        self._resources.labels(kind, "accepted" if accepted else "refused").set(count)

    def observe_build(self, seconds: float) -> None:
        """Record how long it took to add custom resources to the rules."""
        self._builds.observe(seconds)

    def set_unwatched(self, count: int) -> None:
        """Record how many kinds of objects may be out of date."""
        self._unwatched.set(count)

    def count_status_write(self) -> None:
        """Count a custom resource whose status was written."""
        self._status_writes.inc()

    def record_certificate(self, expiry: float) -> None:
        """Record that a certificate was loaded, and when it expires, since the epoch."""
        self._certificate_reloads.labels("success").inc()
        self._certificate_expiry.set(expiry)

    def record_refused_certificate(self) -> None:
        """Record that a certificate was refused."""
        self._certificate_reloads.labels("failure").inc()

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics, and their content type.

        Args:
            accept: The header ``Accept`` of the request.
        """
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

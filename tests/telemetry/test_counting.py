"""What is counted without locks is told as the Prometheus library tells its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics

from webhook.telemetry.counting import Durations, Tally

BOUNDS = (0.001, 0.01, 0.5, 1.0)
LABELS = ("policy", "rule")
values = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["", 'x"\\\n', "é"]))


@pytest.fixture(autouse=True, scope="module")
def no_created_series():
    disable_created_metrics()


def told(registry):
    return generate_latest(registry), open_metrics(registry)


@given(st.lists(st.tuples(values, st.integers(1, 5))))
def test_a_tally_is_told_as_a_counter(counted):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally = Tally("x_reviews", "Reviews.", LABELS, ours)
    counter = Counter("x_reviews", "Reviews.", LABELS, registry=theirs)
    for labels, count in counted:
        tally.add(labels, count)
        counter.labels(*labels).inc(count)
    assert told(ours) == told(theirs)


@given(st.lists(st.sampled_from([0.0, *BOUNDS, 0.0011, 2.0]) | st.floats(0, 10, width=16)))
def test_durations_are_told_as_a_histogram(seconds):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    durations = Durations("x_seconds", "Time.", BOUNDS, ours)
    histogram = Histogram("x_seconds", "Time.", buckets=BOUNDS, registry=theirs)
    for each in seconds:
        durations.observe(each)
        histogram.observe(each)
    assert told(ours) == told(theirs)

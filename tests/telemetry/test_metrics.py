"""Metrics, as Prometheus scrapes them."""

from __future__ import annotations

import re

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as plain

from webhook.telemetry import Metrics

OURS = "mirrorhook_"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def metrics():
    return Metrics("1.2.3", lambda: 7.0)


def families(metrics, accept=""):
    content, _ = metrics.render(accept)
    parse = openmetrics if accept else plain
    return {family.name: family for family in parse(content.decode())}


def values(metrics):
    """Every series with its value."""
    content, _ = metrics.render("")
    lines = [line for line in content.decode().splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def test_names_and_units_follow_the_conventions(metrics):
    metrics.count_review("default", "patched")
    for name, family in families(metrics, OPENMETRICS).items():
        assert re.fullmatch("[a-z][a-z0-9_]*", name)
        assert family.documentation
        if name.startswith(OURS):
            assert family.documentation.endswith(".")
            assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))
            if "duration" in name or "timestamp" in name:
                assert name.endswith("_seconds")


@pytest.mark.parametrize(
    ("note", "series"),
    [
        (
            lambda m: m.count_review("default", "patched"),
            'mirrorhook_reviews_total{policy="default",result="patched"}',
        ),
        (
            lambda m: m.count_review("a", "patched", [(("docker.io", "rewritten"), 1)]),
            'mirrorhook_images_total{outcome="rewritten",policy="a",rule="docker.io"}',
        ),
        (lambda m: m.count_refusal(413), 'mirrorhook_requests_refused_total{code="413"}'),
        (lambda m: m.count_error(), "mirrorhook_errors_total"),
        (lambda m: m.count_loop(), "mirrorhook_loops_total"),
        (
            lambda m: m.record_configuration(5),
            'mirrorhook_config_reloads_total{result="success"}',
        ),
        (
            lambda m: m.record_refused_configuration(),
            'mirrorhook_config_reloads_total{result="failure"}',
        ),
        (
            lambda m: m.record_certificate(5),
            'mirrorhook_certificate_reloads_total{result="success"}',
        ),
        (
            lambda m: m.record_refused_certificate(),
            'mirrorhook_certificate_reloads_total{result="failure"}',
        ),
        (lambda m: m.observe_review(0.1, 5), "mirrorhook_review_duration_seconds_count"),
    ],
)
def test_each_event_is_counted(metrics, note, series):
    before = values(metrics).get(series, 0)
    note(metrics)
    note(metrics)
    assert values(metrics)[series] == before + 2


def test_states_and_times_are_exported(metrics):
    metrics.record_configuration(100)
    metrics.record_certificate(200)
    metrics.observe_review(0.0004, 300)
    found = values(metrics)
    assert found["mirrorhook_config_last_reload_successful"] == 1
    assert found["mirrorhook_config_last_reload_success_timestamp_seconds"] == 100
    assert found["mirrorhook_certificate_expiry_timestamp_seconds"] == 200
    assert found["mirrorhook_last_review_timestamp_seconds"] == 300
    assert found['mirrorhook_review_duration_seconds_bucket{le="0.0005"}'] == 1
    assert found['mirrorhook_review_duration_seconds_bucket{le="0.00025"}'] == 0
    assert found["mirrorhook_log_lines_dropped"] == 7
    assert found['mirrorhook_build_info{version="1.2.3"}'] == 1
    metrics.record_refused_configuration()
    assert values(metrics)["mirrorhook_config_last_reload_successful"] == 0


def test_series_have_no_created_timestamps(metrics):
    metrics.count_review("default", "patched")
    assert not [series for series in values(metrics) if "_created" in series]


def test_format_follows_the_accept_header(metrics):
    content, content_type = metrics.render(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    assert content.endswith(b"# EOF\n")
    assert metrics.render("")[1].startswith("text/plain")


def test_process_metrics_are_exported(metrics):
    assert values(metrics)["process_resident_memory_bytes"] > 0


def test_two_instances_share_no_series(metrics):
    metrics.count_error()
    assert values(Metrics("1", lambda: 0.0))["mirrorhook_errors_total"] == 0

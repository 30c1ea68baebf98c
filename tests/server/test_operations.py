"""Probes, metrics, log: what operators see."""

from __future__ import annotations

import json
import time

import pytest

from tests.server.process import RULES, serving, until
from webhook.telemetry.logs import GATHER_SECONDS

REFUSED = 'mirrorhook_requests_refused_total{code="400"}'


def test_probes_are_answered_and_not_logged(webhook):
    webhook.wait_for("certificate loaded")  # the last line of a start
    before = len(webhook.log)
    for path in ("/healthz", "/readyz"):
        answer = webhook.ask(path)
        assert (answer.status_code, answer.text) == (200, "ok\n")
    time.sleep(5 * GATHER_SECONDS)
    assert len(webhook.log) == before


def test_reviews_are_counted_by_policy_rule_and_outcome(webhook, review_of):
    names = (
        'mirrorhook_reviews_total{policy="default",result="patched"}',
        'mirrorhook_reviews_total{policy="default",result="unchanged"}',
        'mirrorhook_images_total{outcome="rewritten",policy="default",rule="docker.io"}',
        "mirrorhook_review_duration_seconds_count",
        REFUSED,
    )
    before = [webhook.metric(name) for name in names]
    webhook.review(review_of("nginx", "redis:7", "quay.io/a/b"))
    webhook.review(review_of("quay.io/a/b"))
    webhook.review(b"{")
    after = [webhook.metric(name) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 2, 2, 1]


def test_metrics_have_certificate_expiry_and_reloads(webhook):
    assert webhook.metric("mirrorhook_certificate_expiry_timestamp_seconds") > 1.8e9
    assert webhook.metric('mirrorhook_config_reloads_total{result="success"}') == 1
    assert webhook.metric("mirrorhook_config_last_reload_successful") == 1


def test_metrics_are_openmetrics_if_requested(webhook):
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = webhook.ask("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def logged(webhook, namespace):
    """The log lines about reviews in a namespace that no other test has."""

    def found():
        lines = webhook.logged("review")
        return [line for line in lines if line["namespace"] == namespace]

    until(found, "a line about a review")
    return found()


def test_each_review_is_one_log_line_changed_or_not(webhook, review_of):
    webhook.review(review_of("quay.io/a/b", namespace="one-line"))
    webhook.review(review_of("nginx", namespace="one-line"))
    until(lambda: len(logged(webhook, "one-line")) == 2, "two lines")
    unchanged, changed = logged(webhook, "one-line")
    for line in (unchanged, changed):
        assert line["level"] == "info"
        assert line["pod"] == "web"
    assert unchanged["images"][0]["reason"] == "no rule matches quay.io/a/b"
    assert changed["images"][0]["result"] == "harbor.example.com/dockerhub/library/nginx"


@pytest.mark.parametrize(("level", "count"), [("debug", 2), ("info", 1), ("warning", 0)])
def test_log_level_decides_which_reviews_are_logged(rules, review_of, level, count):
    labels = {"mirrorhook.io/rewrite": "disabled"}
    opted_out = {"metadata": {"name": "web", "labels": labels}, "spec": {"containers": []}}
    with serving(rules, f"--log-level={level}") as webhook:
        webhook.review(review_of(object=opted_out))
        webhook.review(review_of("quay.io/a/b"))
    assert [line["result"] for line in webhook.logged("review")] == ["skipped", "unchanged"][
        2 - count :
    ]


def test_image_with_a_warning_is_logged_as_a_warning(webhook, review_of):
    webhook.review(review_of("Not An Image", namespace="in-doubt"))
    (line,) = logged(webhook, "in-doubt")
    assert line["level"] == "warning"
    assert line["images"][0]["image"] == "Not An Image"


def test_log_lines_are_json_objects(webhook):
    webhook.wait_for("certificate loaded")
    for line in webhook.log:
        assert {"time", "level", "event"} <= set(line)
    assert json.dumps(webhook.log)


def test_looping_owner_is_in_log_metrics_and_warnings(tmp_path, review_of):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES + "loops: {times: 3}\n")
    owner = {
        "apiVersion": "example.com/v1",
        "kind": "Database",
        "name": "orders",
        "uid": "o-1",
        "controller": True,
    }
    pod = {
        "metadata": {"name": "orders-1", "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "db", "image": "postgres"}]},
    }
    with serving(path) as webhook:
        for _ in range(3):
            response = webhook.review(review_of(object=pod)).json()["response"]
            time.sleep(1.05)
        line = webhook.wait_for("owner skipped")
        assert webhook.metric("mirrorhook_loops_total") == 1
        (latest, *_) = webhook.ask("/api/decisions", params={"outcome": "looping"}).json()["pods"]
    assert "looping" in response["warnings"][0]
    assert "patch" not in response
    assert (line["level"], line["kind"], line["name"]) == ("warning", "Database", "orders")
    (image,) = latest["images"]
    assert (latest["problem"], image["outcome"], image["result"]) == (True, "looping", "")

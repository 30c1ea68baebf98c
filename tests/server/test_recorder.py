"""Recording review results."""

from __future__ import annotations

import json
import re

import pytest

from tests.reviews import answer
from tests.server.conftest import review_of
from tests.server.parts import Parts
from webhook.admission.request import read_review
from webhook.server.history import History
from webhook.server.recorder import ReviewRecorder
from webhook.telemetry import LOG_LEVELS


class Kept:
    """Stands in for the history."""

    def __init__(self):
        self.names = []
        self.results = []
        self.broken = ()

    def record(self, review):
        if review.pod in self.broken:
            raise ValueError("full")
        self.names.append(review.pod)
        self.results.append(str(review.result.outcome))


@pytest.fixture
def world():
    parts, kept = Parts(), Kept()
    return parts, kept, ReviewRecorder(parts.log, parts.metrics, kept)


def review(world, name, image="nginx"):
    parts, _, recorder = world
    body = json.loads(review_of(image))
    body["request"]["object"]["metadata"]["name"] = name
    return answer(json.dumps(body).encode(), parts.policies["default"], recorder)


def test_reviews_are_recorded_in_order_and_counted(world):
    parts, kept, _ = world
    for name, image in (("a", "nginx"), ("b", "own.example/app"), ("c", "redis")):
        review(world, name, image)
    assert kept.names == ["a", "b", "c"]
    assert kept.results == ["patched", "unchanged", "patched"]
    series = parts.metrics.render("")[0].decode()
    assert 'reviews_total{policy="default",result="patched"} 2.0' in series
    assert 'images_total{outcome="rewritten",policy="default",rule="docker.io"} 2.0' in series


OPTED_OUT = {"metadata": {"name": "web", "labels": {"mirrorhook.io/rewrite": "disabled"}}}
# Each kind of review that changes nothing, and at which level it is logged.
UNCHANGED_KINDS = {
    "unmatched": (["own.example/app"], {}, "info"),
    "kept": (["docker.io/our/app"], {}, "info"),
    "mirrored": (["h.example/hub/library/nginx"], {}, "info"),
    "invalid": (["Not An Image"], {}, "warning"),
    "observed": (["nginx"], {}, "info"),
    "opted out": ([], {"object": OPTED_OUT | {"spec": {"containers": []}}}, "debug"),
    "deleted": (["nginx"], {"operation": "DELETE"}, "debug"),
    "no new image": (["nginx"], {"operation": "UPDATE"}, "debug"),
    "too large": (["nginx"] * 301, {}, "warning"),
}
KINDS_RULES = """rules:
  - {match: docker.io, mirrors: [h.example/hub]}
  - {match: docker.io/our, keep: true}
policies:
  observed: {mode: observe, rules: [{match: docker.io, mirrors: [h.example/hub]}]}
"""


@pytest.mark.parametrize("lowest", LOG_LEVELS)
@pytest.mark.parametrize("kind", UNCHANGED_KINDS)
def test_each_review_is_one_line_changed_or_not(kind, lowest):
    images, request, level = UNCHANGED_KINDS[kind]
    parts = Parts(KINDS_RULES, log_level=lowest)
    recorder = ReviewRecorder(parts.log, parts.metrics)
    policy = parts.policies["observed" if kind == "observed" else "default"]
    body = json.loads(review_of(*images, **request))
    if kind == "no new image":
        body["request"]["oldObject"] = body["request"]["object"]
    answer(json.dumps(body).encode(), policy, recorder)
    expected = [level] if LOG_LEVELS.index(level) >= LOG_LEVELS.index(lowest) else []
    assert [line["level"] for line in parts.lines] == expected
    for line in parts.lines:
        assert line["event"] == "review"
        assert (line["namespace"], line["pod"]) == ("shop", "web")
        if line["images"]:
            assert all(image["reason"] for image in line["images"])


def test_error_while_recording_is_logged_and_changes_no_answer(world):
    parts, kept, _ = world
    kept.broken = ("b",)
    answers = [review(world, name) for name in ("a", "b", "c")]
    assert kept.names == ["a", "c"]
    assert all(b'"patch"' in each for each in answers)
    (line,) = parts.failures
    assert line["event"] == "a review could not be recorded"
    assert "ValueError: full" in line["traceback"]


def test_internal_error_is_recorded(world):
    parts, kept, recorder = world
    request = read_review(review_of("nginx"))[1]
    recorder.record_error("default", request, ValueError("x"))
    assert kept.results == ["error"]
    (line,) = parts.failures
    assert (line["uid"], line["pod"]) == ("0b4b1a9e-1", "web")


def test_review_that_is_too_large_is_logged_with_the_reason(world):
    parts, kept, recorder = world
    body = review_of(*["nginx"] * 301)
    answer(body, parts.policies["default"], recorder)
    (line,) = parts.lines
    assert (line["event"], line["level"], line["result"]) == ("review", "warning", "skipped")
    assert line["reason"] == "it has 301 images, more than 300"
    assert kept.results == ["skipped"]


def test_long_texts_are_cut_in_the_log(world):
    parts, _, recorder = world
    long = "x" * 500_000
    containers = [{"name": long, "image": image} for image in ("nginx", f"{long}!")]
    pod = {"metadata": {"name": long}, "spec": {"containers": containers}}
    body = review_of(object=pod, uid=long, namespace=long)
    answer(body, parts.policies["default"], recorder)
    request = read_review(body)[1]
    recorder.record_error("default", request, ValueError(long))
    review, error = parts.lines
    assert len(json.dumps(review)) < 4000
    assert len(json.dumps(error)) < 20_000
    assert {len(line[key]) for line in (review, error) for key in ("uid", "namespace", "pod")} == {
        253
    }


HOSTILE = """rules:
  - {match: docker.io, mirrors: [h.example/hub, i.example]}
  - {match: "*.a.example", mirrors: [h.example/any]}
  - {match: "*", mirrors: [all.example]}
  - {regex: '(.+)/mine/(.+)', mirrors: ['r.example/\\1/\\2']}
"""


def test_labels_of_metrics_and_shares_come_from_the_rules():
    parts = Parts(HOSTILE)
    history = History(lambda: 1.8e9)
    recorder = ReviewRecorder(parts.log, parts.metrics, history)
    policy = parts.policies["default"]
    sizes = []
    for number in range(300):
        images = [
            f"nginx{number}",
            f"r{number}.a.example/x{number}:{number}",
            f"other{number}.example/a",
            f"x{number}.example/mine/y{number}",
            f"Bad{number}",
            f"{number}" * 2000,
        ]
        answer(review_of(*images, namespace=f"n{number}"), policy, recorder)
        sizes.append((parts.metrics.render("")[0].count(b"\n"), len(history.shares)))
    assert len(set(sizes)) == 1
    series = parts.metrics.render("")[0].decode()
    assert set(re.findall(r'rule="([^"]*)"', series)) == {
        "",
        "docker.io",
        "*.a.example",
        "*",
        "/(.+)/mine/(.+)/",
    }
    assert {target for _, _, target in history.shares} <= {
        "h.example/hub",
        "h.example/any",
        "all.example",
        r"r.example/\1/\2",
    }

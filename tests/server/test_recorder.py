"""Recording review results."""

from __future__ import annotations

import json

import pytest

from tests.reviews import answer
from tests.server.conftest import review_of
from tests.server.parts import Parts
from webhook.admission.request import read_review
from webhook.server.recorder import ReviewRecorder


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

"""Recording review results."""

from __future__ import annotations

import json

import pytest

from tests.reviews import answer
from tests.server.conftest import review_of
from tests.server.parts import Parts
from webhook.admission.request import read_review
from webhook.server.recorder import ReviewRecorder


class Told:
    """Stands in for the history."""

    def __init__(self):
        self.names = []
        self.counts = []
        self.broken = ()

    def noted(self, note):
        if note.pod in self.broken:
            raise ValueError("full")
        self.names.append(note.pod)

    def counted(self, policy, result, totals, times):
        self.counts.append((policy, str(result), totals.rewritten, times))

    def failed(self, note, error):
        self.names.append(f"failed: {error}")


@pytest.fixture
def world():
    parts, told = Parts(), Told()
    return parts, told, ReviewRecorder(parts.log, parts.metrics, told)


def review(world, name, image="nginx"):
    parts, _, recorder = world
    body = json.loads(review_of(image))
    body["request"]["object"]["metadata"]["name"] = name
    return answer(json.dumps(body).encode(), parts.policies["default"], recorder)


def test_reviews_are_recorded_in_order_and_counted(world):
    _, told, _ = world
    for name, image in (("a", "nginx"), ("b", "own.example/app"), ("c", "redis")):
        review(world, name, image)
    assert told.names == ["a", "b", "c"]
    patched, unchanged = ("default", "patched", 1, 1), ("default", "unchanged", 0, 1)
    assert told.counts == [patched, unchanged, patched]


def test_an_error_while_recording_is_logged_and_changes_no_answer(world):
    parts, told, _ = world
    told.broken = ("b",)
    answers = [review(world, name) for name in ("a", "b", "c")]
    assert told.names == ["a", "c"]
    assert all(b'"patch"' in each for each in answers)
    (line,) = parts.failures
    assert line["event"] == "a review could not be noted"
    assert "ValueError: full" in line["traceback"]


def test_an_internal_error_is_recorded(world):
    parts, told, recorder = world
    request = read_review(review_of("nginx"))[1]
    recorder.record_error("default", request, ValueError("x"))
    assert told.names == ["failed: x"]
    (line,) = parts.failures
    assert (line["uid"], line["pod"]) == ("0b4b1a9e-1", "web")

"""What became of reviews is noted as they are answered, and counted a moment later."""

from __future__ import annotations

import json

import pytest

from tests.server.conftest import review_of
from tests.server.parts import Parts
from webhook.admission import Result, answer, judge, read_review
from webhook.server.telling import MAX_KINDS, SECONDS, Telling


class Told:
    def __init__(self):
        self.names = []
        self.counts = []
        self.broken = ()

    def noted(self, note):
        if note.pod in self.broken:
            raise ValueError("full")
        self.names.append(note.pod)

    def counted(self, policy, result, totals, times):
        if "counts" in self.broken:
            raise ValueError("full")
        self.counts.append((policy, result, totals.rewritten, times))

    def failed(self, note, error):
        self.names.append(f"failed: {error}")


class Moments:
    """A loop whose moments pass when we say so."""

    def __init__(self):
        self.calls = []

    def call_later(self, seconds, call):
        self.calls.append((seconds, call))

    def pass_by(self):
        calls, self.calls = self.calls, []
        for _, call in calls:
            call()


@pytest.fixture
def world():
    parts, told, moments = Parts(), Told(), Moments()
    telling = Telling(told, parts.log, moments.call_later)
    return parts, told, moments, telling


def review(world, name, image="nginx"):
    parts, *_, telling = world
    body = json.loads(review_of(image))
    body["request"]["object"]["metadata"]["name"] = name
    return answer(json.dumps(body).encode(), parts.policies["default"], telling)


def test_reviews_are_noted_in_order_and_counted_a_moment_later(world):
    _, told, moments, _ = world
    for name in ("a", "b", "c"):
        review(world, name)
    assert told.names == ["a", "b", "c"]
    assert told.counts == []
    assert [seconds for seconds, _ in moments.calls] == [SECONDS]
    moments.pass_by()
    assert told.counts == [("default", Result.PATCHED, 1, 3)]


def test_whoever_asks_before_has_all_counted(world):
    _, told, moments, telling = world
    review(world, "a")
    telling.flush()
    assert len(told.counts) == 1
    moments.pass_by()
    assert len(told.counts) == 1
    review(world, "b")
    moments.pass_by()
    assert len(told.counts) == 2


def test_no_more_kinds_wait_than_there_is_room_for(world):
    _, told, moments, telling = world
    request = read_review(review_of("nginx"))[1]
    verdict = judge(request, world[0].policies["default"])
    for number in range(MAX_KINDS + 1):
        telling.reviewed(str(number), request, verdict)
    assert [policy for policy, *_ in told.counts] == [*map(str, range(MAX_KINDS))]
    moments.pass_by()
    assert len(told.counts) == MAX_KINDS + 1


def test_reviews_that_come_to_the_same_are_counted_as_one(world):
    _, told, moments, _ = world
    for number, image in enumerate(("nginx", "own.example/app", "nginx:1", "redis")):
        review(world, str(number), image)
    moments.pass_by()
    assert told.counts == [
        ("default", Result.PATCHED, 1, 3),
        ("default", Result.UNCHANGED, 0, 1),
    ]


def test_what_cannot_be_counted_is_logged(world):
    parts, told, moments, _ = world
    told.broken = ("counts",)
    review(world, "a")
    moments.pass_by()
    (line,) = parts.failures
    assert (line["event"], line["policy"]) == ("reviews could not be counted", "default")
    assert told.names == ["a"]


def test_one_that_cannot_be_told_keeps_no_other_from_it(world):
    parts, told, *_ = world
    told.broken = ("b",)
    answers = [review(world, name) for name in ("a", "b", "c")]
    assert told.names == ["a", "c"]
    assert all(b'"patch"' in each for each in answers)
    (line,) = parts.failures
    assert line["event"] == "a review could not be noted"
    assert "ValueError: full" in line["traceback"]


def test_an_error_is_told_at_once_and_what_came_before_it_first(world):
    _, told, _, telling = world
    review(world, "a")
    request = read_review(review_of("nginx"))[1]
    telling.failed("default", request, ValueError("x"))
    assert told.names == ["a", "failed: x"]

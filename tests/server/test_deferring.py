"""
What became of reviews is told a moment later, in order, and to the last.
"""

from __future__ import annotations

import json

import pytest

from tests.server.conftest import review_of
from tests.server.parts import Parts
from webhook.admission import Result, answer, read_review
from webhook.server.deferring import MAX_PENDING, SECONDS, TOGETHER, Deferred


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
    """
    A loop whose moments pass when we say so.
    """

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
    deferred = Deferred(told, parts.log, moments.call_later)
    return parts, told, moments, deferred


def review(world, name, image="nginx"):
    parts, *_, deferred = world
    body = json.loads(review_of(image))
    body["request"]["object"]["metadata"]["name"] = name
    return answer(json.dumps(body).encode(), parts.policies["default"], deferred)


def test_reviews_are_told_a_moment_later_and_in_order(world):
    _, told, moments, _ = world
    for name in ("a", "b", "c"):
        review(world, name)
    assert told.names == []
    assert [seconds for seconds, _ in moments.calls] == [SECONDS]
    moments.pass_by()
    assert told.names == ["a", "b", "c"]


def test_whoever_asks_before_is_told_all(world):
    _, told, moments, deferred = world
    review(world, "a")
    deferred.flush()
    assert told.names == ["a"]
    moments.pass_by()
    review(world, "b")
    moments.pass_by()
    assert told.names == ["a", "b"]


def test_no_more_wait_than_there_is_room_for(world):
    _, told, moments, _ = world
    for number in range(MAX_PENDING + 1):
        review(world, str(number))
    assert told.names == [str(number) for number in range(TOGETHER)]
    while moments.calls:
        moments.pass_by()
    assert told.names == [str(number) for number in range(MAX_PENDING + 1)]


def test_reviews_that_come_to_the_same_are_counted_as_one(world):
    _, told, moments, _ = world
    for number, image in enumerate(("nginx", "own.example/app", "nginx:1", "redis")):
        review(world, str(number), image)
    moments.pass_by()
    assert told.counts == [
        ("default", Result.PATCHED, 1, 3),
        ("default", Result.UNCHANGED, 0, 1),
    ]


def test_many_are_told_in_parts_and_others_come_in_between(world):
    _, told, moments, _ = world
    for number in range(2 * TOGETHER + 1):
        review(world, str(number))
    for count in (TOGETHER, 2 * TOGETHER, 2 * TOGETHER + 1):
        moments.pass_by()
        assert told.names == [str(number) for number in range(count)]
    assert moments.calls == []


def test_what_cannot_be_counted_is_logged(world):
    parts, told, moments, _ = world
    told.broken = ("counts",)
    review(world, "a")
    moments.pass_by()
    (line,) = parts.failures
    assert (line["event"], line["policy"]) == ("reviews could not be counted", "default")
    assert told.names == ["a"]


def test_one_that_cannot_be_told_keeps_no_other_from_it(world):
    parts, told, moments, _ = world
    told.broken = ("b",)
    answers = [review(world, name) for name in ("a", "b", "c")]
    moments.pass_by()
    assert told.names == ["a", "c"]
    assert all(b'"patch"' in each for each in answers)
    (line,) = parts.failures
    assert line["event"] == "a review could not be noted"
    assert "ValueError: full" in line["traceback"]


def test_an_error_is_told_at_once_and_what_came_before_it_first(world):
    _, told, _, deferred = world
    review(world, "a")
    request = read_review(review_of("nginx"))[1]
    deferred.failed("default", request, ValueError("x"))
    assert told.names == ["a", "failed: x"]

"""The latest decisions, kept in memory."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from tests.reviews import answer
from tests.server.conftest import review_of
from webhook.config import parse_rules
from webhook.server.history import MAX_NOTES, MAX_TEXT, History
from webhook.server.policies import build_policies
from webhook.server.recorder import ReviewRecorder
from webhook.telemetry import Log, Metrics

RULES = "rules:\n  - {match: docker.io, mirrors: [h.example/hub, i.example]}\n"
NOON = 1_800_000_000.0


class World:
    """A history that is told of reviews at a time of our own."""

    def __init__(self):
        self.now = NOON
        self.history = History(lambda: self.now)
        log = Log(lambda _line: None, lambda: self.now)
        self.recorder = ReviewRecorder(log, Metrics("0", lambda: 0.0), self.history)
        self.policy = build_policies(parse_rules(RULES, "rules.yaml"), lambda _: None)["default"]

    def review(self, *images, **request):
        answer(review_of(*images, **request), self.policy, self.recorder)

    @property
    def latest(self):
        return list(self.history.latest())


@pytest.fixture
def world():
    return World()


def test_a_decision_is_kept_with_all_that_explains_it(world):
    world.review("nginx", dryRun=True)
    (note,) = world.latest
    assert note == (
        NOON,
        "default",
        "shop",
        "web",
        "CREATE",
        True,
        "c0",
        "nginx",
        "rewritten",
        "docker.io",
        "h.example/hub/library/nginx",
        "rule docker.io → h.example/hub",
    )


def test_the_latest_comes_first_and_the_oldest_is_forgotten(world):
    for number in range(MAX_NOTES + 5):
        world.review(f"nginx:{number}")
    images = [note.image for note in world.latest]
    assert len(images) == MAX_NOTES
    assert (images[0], images[-1]) == (f"nginx:{MAX_NOTES + 4}", "nginx:5")


def test_a_pod_without_a_name_goes_by_the_one_it_is_made_of(world):
    pod = {"metadata": {"generateName": "web-"}, "spec": {"containers": [{"image": "a"}]}}
    world.review(object=pod)
    assert world.latest[0].pod == "web-"
    assert world.latest[0].container == "/spec/containers/0/image"


@pytest.mark.parametrize(
    ("request_", "kept"),
    [
        ({"operation": "CREATE"}, ["its label mirrorhook.io/rewrite is disabled"]),
        ({"operation": "UPDATE", "oldObject": {}}, []),
        ({"operation": "DELETE"}, []),
    ],
)
def test_a_pod_that_is_left_alone_is_kept_when_it_is_created(world, request_, kept):
    labels = {"mirrorhook.io/rewrite": "disabled"}
    pod = {"metadata": {"name": "web", "labels": labels}, "spec": {"containers": []}}
    world.review(object=pod, **request_)
    assert [note.reason for note in world.latest] == kept
    assert {note.outcome for note in world.latest} <= {"skipped"}


def test_an_error_of_ours_is_kept(world):
    class Broken:
        def get(self, _key):
            raise ZeroDivisionError

    object.__setattr__(world.policy, "plan_cache", Broken())
    world.review("nginx")
    (note,) = world.latest
    assert (note.outcome, note.image) == ("error", "")
    assert "log" in note.reason


def test_images_are_counted_by_minute_for_an_hour(world):
    world.review("nginx", "quay.io/a/b", "Not An Image")
    world.now += 60
    world.review("redis")
    first, second = world.history.last_hour()[-2:]
    assert (first.start, first[1:]) == (int(NOON) // 60 * 60, (1, 1, 1))
    assert second[1:] == (1, 0, 0)
    world.now += 59 * 60
    hour = world.history.last_hour()
    assert len(hour) == 60
    assert [minute[1:] for minute in hour if any(minute[1:])] == [(1, 0, 0)]
    world.now += 3600
    assert not any(any(minute[1:]) for minute in world.history.last_hour())


def test_mirrors_are_counted_by_policy_and_rule(world):
    world.review("nginx", "redis", "quay.io/a/b")
    assert world.history.shares == {("default", "docker.io", "h.example/hub"): 2}


def test_no_text_can_take_more_than_its_share_of_memory(world):
    long = "a" * 5_000
    tracemalloc.start()
    try:
        for _ in range(MAX_NOTES):
            world.review(long, namespace=long, name=long)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 6e6
    assert max(len(text) for text in world.latest[0] if isinstance(text, str)) == MAX_TEXT


def test_nothing_but_images_and_names_is_kept(world):
    container = {
        "name": "c",
        "image": "nginx",
        "env": [{"name": "TOKEN", "value": "s3cret"}],
        "args": ["--password=s3cret"],
    }
    pod = {
        "metadata": {"name": "web", "annotations": {"note": "s3cret"}},
        "spec": {"containers": [container]},
    }
    world.review(object=pod)
    assert "s3cret" not in json.dumps(world.latest)

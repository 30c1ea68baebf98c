"""The latest decisions, kept in memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import astuple
from datetime import UTC, datetime

import pytest

from tests.reviews import answer
from tests.server.conftest import review_of
from webhook.config import parse_rules
from webhook.server.history import MAX_RECORDS, MAX_TEXT, History
from webhook.server.policies import build_policies
from webhook.server.recorder import ReviewRecorder
from webhook.telemetry import Log, Metrics

RULES = "rules:\n  - {match: docker.io, mirrors: [h.example/hub, i.example]}\n"
NOON = 1_800_000_000.0


class World:
    """A history of reviews that come when the test says."""

    def __init__(self, rules=RULES):
        self.now = NOON
        self.history = History(lambda: self.now)
        log = Log(lambda _line: None, lambda: self.now)
        self.recorder = ReviewRecorder(log, Metrics("0", lambda: 0.0), self.history)
        self.policy = build_policies(parse_rules(rules, "rules.yaml"), lambda _: None)["default"]

    def review(self, *images, **request):
        answer(review_of(*images, **request), self.policy, self.recorder)

    @property
    def latest(self):
        return list(self.history.list_latest())


@pytest.fixture
def world():
    return World()


def test_history_keeps_all_that_explains_a_decision(world):
    world.review("nginx", dryRun=True)
    (note,) = world.latest
    assert astuple(note) == (
        datetime.fromtimestamp(NOON, UTC),
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


def test_history_has_the_latest_first_and_forgets_the_oldest(world):
    for number in range(MAX_RECORDS + 5):
        world.review(f"nginx:{number}")
    images = [note.image for note in world.latest]
    assert len(images) == MAX_RECORDS
    assert (images[0], images[-1]) == (f"nginx:{MAX_RECORDS + 4}", "nginx:5")


def test_history_shows_the_generate_name_of_a_pod_without_a_name(world):
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
def test_history_keeps_a_skipped_pod_when_it_is_created(world, request_, kept):
    labels = {"mirrorhook.io/rewrite": "disabled"}
    pod = {"metadata": {"name": "web", "labels": labels}, "spec": {"containers": []}}
    world.review(object=pod, **request_)
    assert [note.reason for note in world.latest] == kept
    assert {note.outcome for note in world.latest} <= {"skipped"}


def test_history_keeps_an_internal_error(world):
    class Broken:
        def get(self, _key):
            raise ZeroDivisionError

    object.__setattr__(world.policy, "plan_cache", Broken())
    world.review("nginx")
    (note,) = world.latest
    assert (note.outcome, note.image) == ("error", "")
    assert "log" in note.reason


def test_history_counts_images_by_minute_for_an_hour(world):
    world.review("nginx", "quay.io/a/b", "Not An Image")
    world.now += 60
    world.review("redis")
    first, second = world.history.list_minutes()[-2:]
    assert astuple(first) == (datetime.fromtimestamp(NOON, UTC), 1, 1, 1)
    assert astuple(second)[1:] == (1, 0, 0)
    world.now += 59 * 60
    hour = world.history.list_minutes()
    assert len(hour) == 60
    assert [astuple(each)[1:] for each in hour if any(astuple(each)[1:])] == [(1, 0, 0)]
    world.now += 3600
    assert not any(any(astuple(each)[1:]) for each in world.history.list_minutes())


def test_history_counts_images_by_policy_rule_and_mirror(world):
    world.review("nginx", "redis", "quay.io/a/b")
    assert world.history.shares == {("default", "docker.io", "h.example/hub"): 2}


@pytest.mark.parametrize("character", ["a", "像", "\U0001f600"])
def test_history_is_bounded_whatever_the_texts(world, character):
    long = character * 5_000
    tracemalloc.start()
    try:
        for _ in range(MAX_RECORDS):
            world.review(long, namespace=long, name=long)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < (6e6 if character == "a" else 12e6)
    assert max(len(text) for text in astuple(world.latest[0]) if isinstance(text, str)) == MAX_TEXT


MANY_MIRRORS = f"""rules:
  - match: docker.io
    mirrors: [{", ".join(f"m{n}.example/{'p' * 200}" for n in range(16))}]
"""
DOMAIN = ".".join(["r" * 60] * 4)


def specs_of(n, long):
    """Specs of Pods that take as much memory as they can."""
    return {
        "names of containers": {"containers": [{"name": long, "image": "nginx"}]},
        "pull policies": {"containers": [{"image": "nginx", "imagePullPolicy": long}]},
        "images": {"containers": [{"name": "a", "image": long}]},
        "names of volumes": {"volumes": [{"name": long, "image": {"reference": "a"}}]},
        "mirrors": {"containers": [{"image": f"a{n}/{'b' * 30}:{'t' * 128}"}]},
        "names that no mirror takes": {"containers": [{"image": f"a{n}/{'b' * 200}"}]},
        "long registries": {"containers": [{"image": f"{DOMAIN}/{'b' * 240}:{n}"}]},
    }


@pytest.mark.parametrize("character", ["a", "\U0001f600"])
@pytest.mark.parametrize("shape", specs_of(0, ""))
def test_history_is_bounded_whatever_the_pod(shape, character):
    world, long = World(MANY_MIRRORS), character * 2_000
    tracemalloc.start()
    try:
        for number in range(MAX_RECORDS // 20):
            ((place, entries),) = specs_of(number, long)[shape].items()
            pod = {"metadata": {"name": long}, "spec": {place: entries * 20}}
            world.review(object=pod, namespace=long, operation="CREATE", uid=long)
        # What the plan cache keeps is counted there.
        object.__setattr__(world.policy, "plan_cache", None)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(world.latest) == MAX_RECORDS
    assert size < 12e6


def test_history_is_bounded_whatever_is_skipped(world):
    labels = {"mirrorhook.io/rewrite": "disabled"}
    tracemalloc.start()
    try:
        for _ in range(MAX_RECORDS):
            pod = {"metadata": {"name": "n" * 2_000, "labels": labels}, "spec": {}}
            world.review(object=pod, subResource="s" * 2_000, namespace="\U0001f600" * 2_000)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(world.latest) == MAX_RECORDS
    assert size < 12e6


def test_history_keeps_nothing_but_images_and_names(world):
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
    assert "s3cret" not in repr(world.latest)

"""The decisions on Pods, kept in memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import astuple, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reviews import answer
from tests.server.conftest import review_of
from webhook.config import parse_rules
from webhook.server.history import (
    MAX_BYTES,
    MAX_TEXT,
    History,
    ImageRecord,
    _find_fair_size,
    merge_found,
)
from webhook.server.pod_query import MatchRank, PodQuery
from webhook.server.policies import build_policies
from webhook.server.recorder import ReviewRecorder
from webhook.telemetry import Log, Metrics

RULES = "rules:\n  - {match: docker.io, mirrors: [h.example/hub, i.example]}\n"
NOON = 1_800_000_000.0
ALL = PodQuery()


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

    def create(self, name, image="nginx", namespace="shop", **metadata):
        spec = {"containers": [{"name": "c0", "image": image}]}
        pod = {"metadata": {"name": name, **metadata}, "spec": spec}
        self.review(object=pod, namespace=namespace)

    def deploy(self, name, image="nginx", namespace="shop", template="7d4b9c6f5"):
        """Review a Pod of a Deployment, as its ReplicaSet creates it."""
        owner = {"kind": "ReplicaSet", "name": f"{name}-{template}", "controller": True}
        pod = {
            "metadata": {
                "generateName": f"{name}-{template}-",
                "labels": {"pod-template-hash": template},
                "ownerReferences": [owner],
            },
            "spec": {"containers": [{"name": "c0", "image": image}]},
        }
        self.review(object=pod, namespace=namespace)

    def find(self, text="", **filters):
        return self.history.find(PodQuery(text, **filters))

    @property
    def latest(self):
        return list(self.find(limit=100_000).pods)


@pytest.fixture
def world():
    return World()


def utc(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def test_history_keeps_all_that_explains_a_decision(world):
    world.review("nginx", dryRun=True)
    (found,) = world.latest
    decision = "rewritten", "rule docker.io → h.example/hub", "docker.io"
    assert astuple(replace(found, images=())) == (
        *("shop", "web", False, "", "default", "CREATE", True, "patched", "", False),
        *(utc(NOON), utc(NOON), 1, 1, (), MatchRank.ANY),
    )
    assert found.images == (ImageRecord("c0", "nginx", *decision, "h.example/hub/library/nginx"),)


def test_history_has_the_latest_first(world):
    for number in range(5):
        world.now += 1
        world.create(f"web-{number}")
    assert [found.pod for found in world.latest] == ["web-4", "web-3", "web-2", "web-1", "web-0"]
    assert [found.pod for found in world.find(limit=2).pods] == ["web-4", "web-3"]
    assert world.find(limit=2).found == 5


def test_pods_of_a_deployment_with_the_same_decisions_are_one_record(world):
    for _ in range(50):
        world.now += 1
        world.deploy("web-7")
    world.deploy("web-7", "quay.io/a/b")
    first, second = world.latest
    assert {first.count, second.count} == {1, 50}
    fifty = max(first, second, key=lambda each: each.count)
    assert (fifty.pod, fifty.generated, fifty.owner) == (
        "web-7-7d4b9c6f5-",
        True,
        "Deployment/web-7",
    )
    assert (fifty.first, fifty.last) == (utc(NOON + 1), utc(NOON + 50))


def test_pod_of_a_bare_replicaset_belongs_to_it(world):
    owner = {"kind": "ReplicaSet", "name": "web-db", "controller": True}
    world.create(None, generateName="web-db-", ownerReferences=[owner])
    assert world.latest[0].owner == "ReplicaSet/web-db"


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
    assert [found.reason for found in world.latest] == kept
    assert {found.outcome for found in world.latest} <= {"skipped"}


def test_history_keeps_an_internal_error(world):
    class Broken:
        def get(self, _key):
            raise ZeroDivisionError

    object.__setattr__(world.policy, "plan_cache", Broken())
    world.review("nginx")
    (found,) = world.latest
    assert (found.outcome, found.images, found.problem) == ("error", (), True)
    assert "log" in found.reason


def test_history_never_says_that_a_policy_that_observes_rewrote_an_image():
    world = World(f"mode: observe\n{RULES}")
    world.review("nginx")
    (found,) = world.latest
    assert (found.outcome, found.images[0].outcome) == ("observed", "observed")
    assert "rewritten" not in repr(found)
    assert world.history.list_minutes()[-1].rewritten == 0
    assert world.history.shares == {}


def test_history_counts_images_by_minute_for_an_hour(world):
    world.review("nginx", "quay.io/a/b", "Not An Image")
    world.now += 60
    world.review("redis")
    first, second = world.history.list_minutes()[-2:]
    assert astuple(first) == (utc(NOON), 1, 1, 1)
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


# -- What is kept of busy and of quiet namespaces


def test_busy_namespace_pushes_out_its_own_records_only(world):
    for number in range(40):
        world.create(f"quiet-{number}", namespace="quiet")
    for number in range(25_000):
        world.now += 0.01
        world.create(f"busy-{number}", namespace="busy")
    quiet = world.find("quiet/quiet-7")
    assert [found.match for found in quiet.pods] == [MatchRank.POD]
    assert quiet.namespaces["quiet"].since == utc(NOON)
    assert quiet.namespaces["quiet"].reviews == 40
    busy = world.find("busy/busy-3")
    assert busy.pods == ()
    assert busy.namespaces["busy"].reviews == 25_000
    since = busy.namespaces["busy"].since
    oldest = min(world.find(namespace="busy", limit=100_000).pods, key=lambda each: each.last)
    # The one before the oldest is the last that is not known.
    assert utc(NOON) < since < oldest.last
    assert (oldest.last - since).total_seconds() < 0.02
    assert world.history._bytes <= MAX_BYTES


def test_each_of_five_hundred_namespaces_keeps_its_last_reviews(world):
    for number in range(20_500):
        world.now += 0.01
        image = f"quay.io/team-{number % 300}/app:1.2"
        world.create(f"web-{number}-7d4b9c6f5", image, f"namespace-{number % 500}")
    for number in range(0, 20_500, 997):
        name = f"namespace-{number % 500}/web-{number}-7d4b9c6f5"
        (found,) = world.find(name).pods
        assert found.images[0].reason == f"no rule matches quay.io/team-{number % 300}/app"


def test_namespace_that_was_dropped_is_not_known_since_the_start(world):
    for number in range(20_000):
        world.now += 0.01
        world.create("web", namespace=f"n{number:05}")
    gone = world.find("n00000/web")
    assert gone.pods == ()
    assert gone.namespaces["n00000"].since > utc(NOON)
    assert gone.namespaces["n00000"].reviews == 0
    (last,) = world.find("n19999/web").pods
    assert last.count == 1
    # A namespace that comes back is not known for the time before.
    world.create("again", namespace="n00000")
    assert world.find("n00000/again").namespaces == gone.namespaces | {
        "n00000": replace(gone.namespaces["n00000"], reviews=1)
    }


@given(st.lists(st.integers(0, 10_000), min_size=1), st.integers(0, 50_000))
def test_fair_size_is_the_largest_that_fits(sizes, limit):
    fair = _find_fair_size(sizes, limit)
    assert sum(min(size, fair) for size in sizes) <= limit
    if sum(sizes) > limit:
        assert sum(min(size, fair + 1) for size in sizes) > limit


class Traced:
    """Measures the memory that a history takes, and compares it with its own estimate."""

    def __init__(self, world):
        self.world = world

    def __enter__(self):
        # So that caches of the rules are not counted.
        self.world.review("nginx", "quay.io/a/b", "Not An Image")
        tracemalloc.start()

    def __exit__(self, *_):
        # What the plan cache keeps is counted there.
        object.__setattr__(self.world.policy, "plan_cache", None)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert 0 < size < self.world.history._bytes + 60_000


@pytest.mark.parametrize("character", ["a", "像", "\U0001f600"])
def test_estimate_is_never_too_low_whatever_the_texts(world, character):
    long = character * 5_000
    with Traced(world):
        for number in range(200):
            text = f"{number}{long}"
            world.review(text, namespace=f"{number % 7}{long}", name=text)


MANY_MIRRORS = f"""rules:
  - match: docker.io
    mirrors: [{", ".join(f"m{n}.example/{'p' * 200}" for n in range(16))}]
"""
DOMAIN = ".".join(["r" * 60] * 4)


def specs_of(n, long):
    """Specs of Pods that take as much memory as they can."""
    return {
        "names of containers": {"containers": [{"name": f"{n}{long}", "image": "nginx"}]},
        "pull policies": {"containers": [{"image": f"nginx:{n}", "imagePullPolicy": long}]},
        "images": {"containers": [{"name": "a", "image": f"{n}{long}"}]},
        "names of volumes": {"volumes": [{"name": f"{n}{long}", "image": {"reference": "a"}}]},
        "mirrors": {"containers": [{"image": f"a{n}/{'b' * 30}:{'t' * 128}"}]},
        "names that no mirror takes": {"containers": [{"image": f"a{n}/{'b' * 200}"}]},
        "long registries": {"containers": [{"image": f"{DOMAIN}/{'b' * 240}:{n}"}]},
        "control characters": {"containers": [{"name": "a", "image": f"{n}" + "\x01" * 1000}]},
    }


@pytest.mark.parametrize("character", ["a", "\U0001f600"])
@pytest.mark.parametrize("shape", specs_of(0, ""))
def test_estimate_is_never_too_low_whatever_the_pod(shape, character):
    world, long = World(MANY_MIRRORS), character * 2_000
    with Traced(world):
        for number in range(30):
            ((place, entries),) = specs_of(number, long)[shape].items()
            pod = {"metadata": {"name": f"{number}{long}"}, "spec": {place: entries * 20}}
            world.review(object=pod, namespace=long, operation="CREATE", uid=long)
    for found in world.find(namespace=long[:200]).pods:
        assert found.total == 20
        assert 0 < len(found.images) <= 20


def test_estimate_is_never_too_low_whatever_is_skipped(world):
    labels = {"mirrorhook.io/rewrite": "disabled"}
    with Traced(world):
        for number in range(200):
            pod = {"metadata": {"name": f"{number}" + "n" * 2_000, "labels": labels}, "spec": {}}
            namespace = "\U0001f600" * 2_000
            world.review(object=pod, subResource="s" * 2_000, namespace=namespace)
    assert max(len(found.reason) for found in world.latest) <= MAX_TEXT


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


# -- The answers of several replicas


def test_answers_of_replicas_are_merged():
    one, two = World(), World()
    for world, count in ((one, 30), (two, 20)):
        for _ in range(count):
            world.now += 1
            world.deploy("web")
    two.now = NOON + 100
    two.create("db-0", "ghcr.io/a/b")
    merged = merge_found([one.find("shop"), two.find("shop")], 10)
    assert [(found.pod, found.count) for found in merged.pods] == [
        ("db-0", 1),
        ("web-7d4b9c6f5-", 50),
    ]
    assert (merged.pods[1].first, merged.pods[1].last) == (utc(NOON + 1), utc(NOON + 30))
    assert merged.namespaces["shop"].reviews == 51
    assert merged.found == 2
    assert [found.pod for found in merge_found([one.find(), two.find()], 1).pods] == ["db-0"]


def test_merged_answer_is_known_since_all_replicas_know_it():
    one, two = World(), World()
    two.history._floor += 60
    two.create("web-0")
    merged = merge_found([one.find("shop/web-0"), two.find("shop/web-0")], 10)
    assert merged.since == merged.namespaces["shop"].since == utc(NOON + 60)

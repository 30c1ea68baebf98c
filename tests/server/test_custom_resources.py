"""Custom resources added to the rules file, on an API server that does what the test says."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager

import pytest

from tests.kube.collection_api import make_client, serve_collections
from tests.server.conftest import review_of
from tests.tools.waiting import until
from webhook.admission import review
from webhook.config import parse_rules
from webhook.config.models import NO_RULES
from webhook.server.custom_resources import CustomResources, ResourcePace
from webhook.server.mirror_health import MAX_TEAM_SETTINGS, MirrorHealth
from webhook.server.policies import ObjectSnapshot, PolicyStore
from webhook.server.readiness import Readiness
from webhook.server.recorder import ReviewRecorder
from webhook.telemetry import Log, Metrics

pytestmark = pytest.mark.anyio

GROUP = "/apis/mirrorhook.io/v1alpha1"
PATHS = (f"{GROUP}/clustermirrorrules", f"{GROUP}/mirrorrules", "/api/v1/namespaces")
FAST = ResourcePace(start=0.2, gather=0.01, rest=0)
FILE = """
rules: [{match: gcr.io, mirrors: [file.example/gcr]}]
delegation: {namespaces: {matchLabels: {rules: own}}, mirrors: [team.example/*]}
"""
READY = ()
WAITING = ("custom resources: waiting for the API server to list them",)


class World:
    """A policy store that follows custom resources.

    Attributes:
        lines: What was logged.
    """

    def __init__(self, address, rules=FILE):
        self.lines = []
        self.log = Log(lambda line: self.lines.append(json.loads(line)), time.time, "debug")
        self.metrics = Metrics("0", lambda: 0.0)
        self.readiness = Readiness()
        self.mirror_health = MirrorHealth(self.log, self.metrics, time.monotonic)
        self.store = PolicyStore(
            parse_rules(rules, "rules.yaml") if rules else NO_RULES,
            log=self.log,
            metrics=self.metrics,
            clock=time.time,
            stopwatch=time.monotonic,
            mirror_health=self.mirror_health,
            readiness=self.readiness,
        )
        self.recorder = ReviewRecorder(self.log, self.metrics)
        self.resources = CustomResources(
            make_client(address),
            self.store,
            None,
            log=self.log,
            metrics=self.metrics,
            readiness=self.readiness,
            pace=FAST,
        )

    async def rewrite(self, image="gcr.io/a/b", namespace="shop"):
        """Return what a review makes of an image."""
        body = review_of(image, namespace=namespace)
        answer = await review(body, self.store.policies["default"], self.recorder, 5)
        (line,) = [each for each in self.lines if each["event"] == "review"][-1:]
        assert json.loads(answer)["response"]["allowed"]
        return line["images"][0].get("result", image)

    async def becomes(self, expected, image="gcr.io/a/b", namespace="shop"):
        async with asyncio.timeout(60):
            while await self.rewrite(image, namespace) != expected:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def logged(self, event):
        return [each for each in self.lines if each["event"] == event]

    def metric(self, series):
        for line in self.metrics.render("")[0].decode().splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return 0.0


@pytest.fixture
def served():
    with serve_collections(*PATHS) as served:
        yield served


@pytest.fixture
def platform(served):
    return served[0][PATHS[0]]


@pytest.fixture
def team(served):
    return served[0][PATHS[1]]


@pytest.fixture
def namespaces(served):
    found = served[0][PATHS[2]]
    put_namespace(found, "shop", rules="own")
    put_namespace(found, "other")
    return found


@asynccontextmanager
async def following(served, rules=FILE):
    world = World(served[1], rules)
    task = asyncio.create_task(world.resources.follow())
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def put_namespace(namespaces, name, **labels):
    with namespaces.changed:
        namespaces.put(name)
        namespaces.objects["", name]["metadata"]["labels"] = labels


def put(collection, name, *rules, namespace="", generation=1, **spec):
    kind = "MirrorRules" if namespace else "ClusterMirrorRules"
    with collection.changed:
        collection.put(name, namespace, kind=kind, spec={"rules": [*rules], **spec})
        collection.objects[namespace, name]["metadata"] |= {
            "uid": f"{namespace}/{name}",
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }


def rule(mirror, match="gcr.io", **keys):
    return {"match": match, "mirrors": [{"target": mirror}], **keys}


async def test_objects_are_added_to_the_rules_file(served, platform, team, namespaces):
    put(platform, "more", rule("cluster.example/quay", "quay.io"))
    put(team, "ours", rule("team.example/gcr"), namespace="shop")
    async with following(served) as world:
        await world.becomes("team.example/gcr/a/b")
        assert await world.rewrite(namespace="other") == "file.example/gcr/a/b"
        for namespace in ("shop", "other"):
            assert await world.rewrite("quay.io/a/b", namespace) == "cluster.example/quay/a/b"
        await until(lambda: world.readiness.problems == READY)
        team.remove("ours", "shop")
        await world.becomes("file.example/gcr/a/b")
        platform.remove("more")
        await world.becomes("quay.io/a/b", "quay.io/a/b")
    assert world.logged("custom resources in use")[0]["objects"] == 2


async def test_replica_is_not_ready_before_the_first_list(served, platform, team, namespaces):
    async with following(served) as world:
        assert world.readiness.problems == WAITING
        await until(lambda: world.readiness.problems == READY)
        assert world.store.effective is not None


@pytest.mark.parametrize("path", PATHS)
async def test_file_works_alone_until_all_are_listed(served, platform, team, namespaces, path):
    put(platform, "strict", rule("cluster.example/gcr", enforced=True))
    put(team, "ours", rule("team.example/gcr"), namespace="shop")
    served[0][path].faults[:] = [500] * 10_000
    async with following(served) as world:
        assert world.readiness.problems == WAITING
        await until(lambda: world.readiness.problems == READY)
        await until(lambda: world.logged("custom resources may be out of date"))
        assert world.logged("custom resources not listed, the rules file works alone")
        assert await world.rewrite() == "file.example/gcr/a/b"
        served[0][path].faults.clear()
        await world.becomes("cluster.example/gcr/a/b")
        await until(lambda: world.logged("custom resources are up to date again"))


async def test_file_works_alone_until_the_kinds_appear(served, platform, team, namespaces):
    platform.exists = team.exists = False
    async with following(served) as world:
        await until(lambda: world.readiness.problems == READY)
        assert await world.rewrite() == "file.example/gcr/a/b"
        put(team, "ours", rule("team.example/gcr"), namespace="shop")
        platform.exists = team.exists = True
        await world.becomes("team.example/gcr/a/b")


async def test_objects_stay_while_the_api_server_is_gone(served, platform, team, namespaces):
    put(team, "ours", rule("team.example/gcr"), namespace="shop")
    async with following(served) as world:
        await world.becomes("team.example/gcr/a/b")
        await until(lambda: all(each.watches for each in served[0].values()))
        for each in served[0].values():
            each.faults[:] = ["drop"] * 10_000
            each.end_watches()
        await until(lambda: len(world.logged("custom resources may be out of date")) == 3)
        assert world.metric("mirrorhook_custom_resources_unwatched_kinds") == 3
        assert world.readiness.problems == READY
        assert await world.rewrite() == "team.example/gcr/a/b"


async def test_broken_object_keeps_its_last_rules(served, platform, team, namespaces):
    put(team, "ours", rule("team.example/gcr"), namespace="shop")
    async with following(served) as world:
        await world.becomes("team.example/gcr/a/b")
        put(team, "ours", rule("else.example/x"), namespace="shop", generation=2)
        await until(lambda: world.logged("custom resource refused"))
        (line,) = world.logged("custom resource refused")
        assert line["object"] == "MirrorRules shop/ours"
        assert (line["generation"], line["in_use"]) == (2, 1)
        assert line["reason"] == "MirrorNotAllowed"
        assert await world.rewrite() == "team.example/gcr/a/b"
        refused = 'mirrorhook_custom_resources{kind="MirrorRules",state="refused"}'
        assert world.metric(refused) == 1
        put(team, "ours", rule("team.example/new"), namespace="shop", generation=3)
        await world.becomes("team.example/new/a/b")
        await until(lambda: world.metric(refused) == 0)
        assert len(world.logged("custom resource refused")) == 1


async def test_labels_of_namespaces_decide_who_may_have_rules(served, platform, team, namespaces):
    put(team, "ours", rule("team.example/gcr"), namespace="other")
    async with following(served) as world:
        await until(lambda: world.logged("custom resource refused"))
        put_namespace(namespaces, "other", rules="own")
        await world.becomes("team.example/gcr/a/b", namespace="other")
        put_namespace(namespaces, "other")
        await until(lambda: len(world.logged("custom resource refused")) == 2)


async def test_reload_of_the_file_keeps_the_objects(served, platform, team, namespaces, tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text(FILE.replace("file.example", "new.example"))
    put(team, "ours", rule("team.example/quay", "quay.io"), namespace="shop")
    async with following(served) as world:
        await world.becomes("team.example/quay/a/b", "quay.io/a/b")
        following_file = asyncio.create_task(world.store.follow(file))
        await world.becomes("new.example/gcr/a/b")
        assert await world.rewrite("quay.io/a/b") == "team.example/quay/a/b"
        file.write_text("rules: [{}]")
        await until(lambda: world.logged("rules refused, the old ones stay in use"))
        assert await world.rewrite("quay.io/a/b") == "team.example/quay/a/b"
        file.write_text(FILE.partition("delegation")[0])
        await world.becomes("quay.io/a/b", "quay.io/a/b")
        await until(lambda: world.logged("custom resource refused"))
        following_file.cancel()


async def test_objects_wait_for_the_first_valid_file(served, platform, team, namespaces, tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text("rules: [{}]")
    put(team, "ours", rule("team.example/gcr"), namespace="shop")
    async with following(served, rules="") as world:
        following_file = asyncio.create_task(world.store.follow(file))
        await until(lambda: world.logged("rules refused, waiting for valid ones"))
        assert world.store.policies == {}
        file.write_text(FILE)
        await until(lambda: world.store.policies)
        await world.becomes("team.example/gcr/a/b")
        following_file.cancel()


async def test_objects_that_cannot_be_added_hold_up_no_reload(served, tmp_path, monkeypatch):
    def fail(*_):
        raise AssertionError("a bug")

    world = World(served[1])
    monkeypatch.setattr("webhook.server.policies.build_effective", fail)
    with pytest.raises(AssertionError):
        await world.store.use_objects(ObjectSnapshot())
    file = tmp_path / "rules.yaml"
    file.write_text(FILE.replace("file.example", "new.example"))
    following_file = asyncio.create_task(world.store.follow(file))
    await world.becomes("new.example/gcr/a/b")
    following_file.cancel()


async def test_status_of_an_object_causes_no_build(served, platform, team, namespaces):
    put(team, "ours", rule("team.example/gcr"), namespace="shop")
    async with following(served) as world:
        await world.becomes("team.example/gcr/a/b")
        await until(lambda: team.watches)
        used = world.store.effective
        received = len(team.requests)
        put(team, "ours", rule("never.example/read"), namespace="shop")  # the same generation
        put(team, "next", rule("team.example/quay", "quay.io"), namespace="shop")
        await world.becomes("team.example/quay/a/b", "quay.io/a/b")
        assert await world.rewrite() == "team.example/gcr/a/b"
        assert world.store.effective is not used
        assert len(team.requests) == received


async def test_rules_of_teams_make_no_series_of_their_own(served, platform, team, namespaces):
    for number in range(5):
        put(team, f"o{number}", rule("team.example/x", f"r{number}.example"), namespace="shop")
    async with following(served) as world:
        for number in range(5):
            await world.becomes("team.example/x/a/b", f"r{number}.example/a/b")
        text = world.metrics.render("")[0].decode()
        assert 'rule="MirrorRules"' in text
        assert "r1.example" not in text


def make_availabilities(count):
    keys = "mode: check, timeout: 100ms, budget: 100ms"
    return [
        parse_rules(f"availability: {{{keys}, ttl: {n + 1}m}}", "x")
        .policies["default"]
        .availability
        for n in range(count)
    ]


async def test_selectors_of_teams_are_bounded(served):
    world = World(served[1])
    settings = make_availabilities(MAX_TEAM_SETTINGS + 5)
    kept = [world.mirror_health.find_team_selector(each) for each in settings]
    assert len(world.mirror_health._checkers) == MAX_TEAM_SETTINGS
    assert world.mirror_health.find_team_selector(settings[-1]) is kept[-1]
    world.mirror_health.close_unused([settings[0]])
    assert len(world.mirror_health._checkers) == MAX_TEAM_SETTINGS
    await asyncio.gather(*world.mirror_health._closing)


async def test_images_are_not_checked_while_teams_use_too_many_settings(served):
    world = World(served[1])
    health = world.mirror_health
    *others, last = make_availabilities(2 * MAX_TEAM_SETTINGS + 1)
    for each in others:
        health.find_team_selector(each)
    decision = world.store.policies["default"].decide("gcr.io/a/b")
    (chosen,) = await health.create_team_selector(last).choose([decision], 5)
    assert (chosen.outcome, chosen.image) == ("unavailable", "gcr.io/a/b")
    assert "too many checks are open" in chosen.reason
    assert len(health._checkers) == MAX_TEAM_SETTINGS
    await asyncio.gather(*health._closing)
    assert health.find_team_selector(last) is not None
    await asyncio.gather(*health._closing)

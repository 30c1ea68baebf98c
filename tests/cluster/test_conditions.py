"""Which Pods the API server sends to the webhook, by its own metrics."""

from __future__ import annotations

import pytest

from tests.cluster.api import namespaced
from tests.cluster.release import released
from tests.cluster.world import ENABLED, MIRROR, RULES, images, pod

WEBHOOK = "default.mirrorhook.io"
CALLS = "apiserver_admission_webhook_admission_duration_seconds_count"
EXCLUSIONS = "apiserver_admission_match_condition_exclusions_total"
ERRORS = "apiserver_admission_match_condition_evaluation_errors_total"
CONDITIONS = {"webhook": {"matchConditionsFromRules": True}}


@pytest.fixture(scope="module")
def release(plane, world):
    """A running release with conditions from its rules."""
    with released(plane, {"rules": RULES} | CONDITIONS) as release:
        world.wait_for(world.namespace(ENABLED), "nginx", f"{MIRROR}/hub/library/nginx")
        yield release


class Counts:
    """Counts calls of the webhook, and calls that a match condition prevented."""

    def __init__(self, api):
        self.api = api
        self.before = self.now()

    def now(self):
        return [self.api.metric(name, name=WEBHOOK) for name in (CALLS, EXCLUSIONS, ERRORS)]

    @property
    def calls(self):
        """The calls since the creation of this object. Asserts that no condition failed.

        There can be both a call and an exclusion: if another plugin changed the Pod, the
        conditions are evaluated again, when its images are already at the mirror.
        """
        calls, excluded, errors = (b - a for a, b in zip(self.before, self.now(), strict=True))
        assert errors == 0
        assert calls or excluded
        return calls


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pod("nginx"), 1),
        (pod("r.example/a", "gcr.io/a"), 1),
        (pod("r.example/a", "localhost:5000/nginx"), 0),
        (pod(f"{MIRROR}/hub/library/nginx"), 0),
        (pod(*[f"r.example/{'a' * 200}/{n}" for n in range(40)]), 0),
    ],
    ids=["a short name", "one of two", "no rule", "at the mirror", "much text"],
)
def test_webhook_is_called_only_for_images_of_the_rules(world, release, space, given, expected):
    counts = Counts(world.api)
    created = world.create(space, given, dryRun="All")
    assert counts.calls == expected
    assert (images(created) != images(given)) == bool(expected)


@pytest.mark.parametrize("place", ["labels", "annotations"])
def test_webhook_is_not_called_for_a_pod_that_opts_out(world, release, space, place):
    counts = Counts(world.api)
    given = pod("nginx")
    given["metadata"][place] = {"mirrorhook.io/rewrite": "disabled"}
    world.create(space, given)
    assert world.api.metric(CALLS, name=WEBHOOK) == counts.before[0]


def test_webhook_is_not_called_for_changes_of_other_fields(world, release, space):
    world.create(space, pod("nginx"))
    path = namespaced("pods", space, "web")
    counts = Counts(world.api)
    world.api.patch(path, {"metadata": {"labels": {"a": "b"}}})
    assert counts.calls == 0
    world.plane.kubectl("set", "image", "-n", space, "pod/web", "c0=gcr.io/b")
    assert counts.calls == 1
    assert images(world.api.get(path)) == {"c0": f"{MIRROR}/gcr/b"}


def test_conditions_stay_within_the_budget_for_many_long_images(world, release, space):
    image = f"docker.io/{'a' * 60}/" + "b/" * 60 + "c:" + "1" * 100 + "@sha256:" + "d" * 64
    given = pod(*[f"{image[:10]}{n}{image[10:]}" for n in range(60)])
    counts = Counts(world.api)
    created = world.create(space, given, dryRun="All")
    assert counts.calls == 1
    assert all(each.startswith(f"{MIRROR}/hub/") for each in images(created).values())


@pytest.mark.parametrize("count", [100, 1000, 5000])
def test_conditions_cover_any_number_of_rules(plane, world, count):
    space = world.namespace()
    rules = [
        {"match": f"registry{n}.example.com/team", "mirrors": [f"{MIRROR}/r{n}"]}
        for n in range(count)
    ]
    values = {"rules": rules, "selection": {"mode": "listed", "namespaces": [space]}}
    with released(plane, values | CONDITIONS, name="mirrorhook-many"):
        last = f"registry{count - 1}.example.com/team/app"
        world.wait_for(space, last, f"{MIRROR}/r{count - 1}/app")
        long = f"registry1.example.com/{'x' * 150}/" + "y" * 80 + ":1"
        given = pod(last, *[f"{long}{n}" for n in range(50)])
        counts = Counts(world.api)
        created = world.create(space, given, dryRun="All")
        assert counts.calls == 1
        assert images(created)["c0"] == f"{MIRROR}/r{count - 1}/app"


def test_conditions_include_profiles_and_regexes(plane, world):
    space = world.namespace()
    regex = {"regex": r"^quay\.io/bitnami/(.+)$", "mirrors": [rf"{MIRROR}/legacy/\1"]}
    selection = {"mode": "listed", "namespaces": [space]}
    values = {"rules": [regex], "profiles": ["daocloud"], "selection": selection}
    with released(plane, values | CONDITIONS, name="mirrorhook-profiles"):
        world.wait_for(space, "nginx", "m.daocloud.io/docker.io/library/nginx")
        counts = Counts(world.api)
        assert world.tried(space, "quay.io/bitnami/a:1") == f"{MIRROR}/legacy/a:1"
        assert counts.calls == 1
        assert world.tried(space, "r.example/quay.io/bitnami/a") == "r.example/quay.io/bitnami/a"
        assert counts.calls == 1

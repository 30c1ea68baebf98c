"""The definitions of the custom resources, on the oldest and the newest API server."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.cluster.api import namespaced
from tests.cluster.control_plane import control_plane
from tests.cluster.custom_kinds import DEFINITIONS
from tests.cluster.processes import until
from tests.cluster.programs import OLDEST
from tests.cluster.release import CHART
from tests.cluster.world import World
from webhook.resources import Kind

GROUP = "mirrorhook.io/v1alpha1"
RULE = {"match": "docker.io", "mirrors": [{"target": "harbor.example.com/hub"}]}
VALID = {
    "everything": {
        "profiles": ["daocloud", "k8s-gcr-io"],
        "rules": [
            RULE,
            {"match": "*.gcr.io", "keep": True},
            {"match": "*", "mirrors": [{"target": "localhost:5000"}], "original": "never"},
            {
                "regex": r"docker\.io/bitnami/(.+)",
                "mirrors": [
                    {"target": r"harbor.example.com/legacy/\1", "pullSecrets": ["a", "b.c"]}
                ],
                "verify": "digest",
                "trusted": {"target": "registry.example.com/hub"},
                "enforced": False,
            },
            {"match": "quay.io", "mirrors": [{"target": "[fd00::1]:5000/a", "flatten": True}]},
        ],
        "mode": "observe",
        "record": False,
        "availability": {"mode": "check", "timeout": "1m30s", "platforms": ["linux/arm/v7"]},
        "loops": {"mode": "off", "times": 5, "within": "1.5h"},
    },
    "nothing": {},
    "many rules": {"rules": [RULE | {"match": f"r{n}.example.com"} for n in range(256)]},
}


def rule(**keys):
    return {"rules": [RULE | keys]}


def target(text, **keys):
    return {"rules": [{"match": "docker.io", "mirrors": [{"target": text, **keys}]}]}


# What is wrong, and what the message has to say.
INVALID = {
    "match and regex": (rule(regex="a"), "rules[0]: .*a rule has either match or regex"),
    "neither": ({"rules": [{"keep": True}]}, "a rule has either match or regex"),
    "mirrors and keep": (rule(keep=True), "a rule has either mirrors or keep: true"),
    "no mirrors": (rule(mirrors=[]), "should have at least 1 items"),
    "neither mirrors nor keep": (
        {"rules": [{"match": "a.io"}]},
        "a rule has either mirrors or keep: true",
    ),
    "scheme": (rule(match="https://docker.io"), "rules[0].match: .*match is a registry, or"),
    "tag": (rule(match="docker.io/library/nginx:1"), "without tag"),
    "scheme of a target": (target("https://a.io"), "mirrors[0].target: .*without scheme and tag"),
    "name on Docker Hub": (target("harbor/hub"), "would be read as a name on Docker Hub"),
    "groups": (target(r"a.io/\1"), "a mirror uses groups, but the rule has no regex"),
    "flat regex": (
        {"rules": [{"regex": "(.+)", "mirrors": [{"target": "a.io/x", "flatten": True}]}]},
        "flatten cannot be used with a regex",
    ),
    "trusted": (rule(trusted={"target": "a.io"}), "trusted requires verify: digest"),
    "kept and verified": (
        {"rules": [{"match": "a.io", "keep": True, "verify": "digest"}]},
        "a rule with keep: true cannot have verify",
    ),
    "profile": ({"profiles": ["nope"]}, 'Unsupported value: "nope": supported values: "daocloud"'),
    "profile twice": ({"profiles": ["nju", "nju"]}, "Duplicate value"),
    "mode": ({"mode": "off"}, 'Unsupported value: "off": supported values: "rewrite", "observe"'),
    "duration": ({"availability": {"ttl": "10"}}, "write a duration such as 800ms, 30s or 10m"),
    "platform": ({"availability": {"platforms": ["amd64"]}}, "write os/architecture"),
    "times": ({"loops": {"times": 2}}, "should be greater than or equal to 3"),
    "secret": (target("a.io", pullSecrets=["A"]), "pullSecrets[0]: .*should match"),
    "short form": (rule(mirrors=["a.io"]), r"mirrors\[0\].* must be of type object"),
    "too many rules": (
        {"rules": [RULE | {"match": f"r{n}.example.com"} for n in range(257)]},
        "must have at most 256 items",
    ),
    "no spec": (None, "spec: Required value"),
}


@pytest.fixture(scope="module", params=["newest", "oldest"])
def cluster(request, programs):
    """A cluster with the definitions."""
    if request.param == "newest":
        world = request.getfixturevalue("world")
        define(world)
        yield world
        return
    with control_plane(OLDEST) as plane:
        world = World(plane)
        define(world)
        yield world


def define(world):
    """Create the definitions, and wait until the API server serves them."""
    for kind in Kind:
        definition = yaml.safe_load((CHART / f"files/crds/{kind.lower()}.yaml").read_text())
        name = definition["metadata"]["name"]
        if not world.api.find(f"{DEFINITIONS}/{name}"):
            world.api.post(DEFINITIONS, definition)
        until(
            lambda kind=kind: world.api.ask("GET", path_of(kind)).is_success, f"the API of {kind}"
        )


def path_of(kind, name=""):
    if kind is Kind.TEAM:
        return namespaced(f"{GROUP}/mirrorrules", "default", name)
    return f"/apis/{GROUP}/clustermirrorrules" + (f"/{name}" if name else "")


def create(world, kind, spec, name="rules", **query):
    given = {"apiVersion": GROUP, "kind": str(kind), "metadata": {"name": name}}
    if spec is not None:
        given["spec"] = spec
    return world.api.ask("POST", path_of(kind), given, **query)


@pytest.mark.parametrize("kind", Kind)
def test_api_server_accepts_valid_objects_and_refuses_invalid_ones_with_a_reason(cluster, kind):
    for name, spec in VALID.items():
        answer = create(cluster, kind, spec, dryRun="All")
        assert answer.is_success, (name, answer.text)
        assert answer.json()["spec"] == spec
    for name, (spec, expected) in INVALID.items():
        answer = create(cluster, kind, spec, dryRun="All")
        assert answer.status_code == 422, (name, answer.text)
        message = answer.json()["message"]
        assert re.search(expected.replace("[0]", r"\[0\]"), message), (name, message)
        assert len(message) < 1500, (name, message)


def test_strict_client_hears_of_keys_that_name_files(cluster):
    for key, spec in {
        "allowlist": target("a.io", allowlist="allows.txt"),
        "ca": target("a.io", ca="ca.pem"),
        "credentials": {"availability": {"credentials": ["config.json"]}},
    }.items():
        answer = create(cluster, Kind.TEAM, spec, dryRun="All", fieldValidation="Strict")
        assert answer.status_code == 400
        assert re.search(rf'unknown field "spec\..*\.{key}"', answer.json()["message"])


def test_only_cluster_mirror_rules_name_a_policy(cluster):
    spec = {"policy": "team-a", **VALID["everything"]}
    answer = create(cluster, Kind.PLATFORM, spec, dryRun="All", fieldValidation="Strict")
    assert answer.json()["spec"]["policy"] == "team-a"
    answer = create(cluster, Kind.TEAM, spec, dryRun="All", fieldValidation="Strict")
    assert 'unknown field "spec.policy"' in answer.json()["message"]


def test_kubectl_explains_and_lists_the_objects(cluster):
    run = cluster.plane.kubectl
    explained = run("explain", "mirrorrules.spec.rules")
    assert "a registry, or a registry and a path" in explained
    assert "targets in order of preference" in explained
    assert "MirrorRules are the rules of one namespace" in run("explain", "mr")
    assert create(cluster, Kind.TEAM, {"rules": [RULE]}, "listed").is_success
    path = path_of(Kind.TEAM, "listed")
    try:
        made = cluster.api.get(path)
        made["status"] = {
            "generationInUse": 1,
            "conditions": [
                {
                    "type": "Accepted",
                    "status": "False",
                    "reason": "NotDelegated",
                    "message": "no namespace may have rules of its own",
                    "observedGeneration": 1,
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ],
        }
        updated = cluster.api.put(f"{path}/status", made)
        assert updated["status"] == made["status"]
        assert updated["metadata"]["generation"] == 1
        table = run("get", "mirrorhook", "-n", "default")
        assert re.search(r"NAME +MODE +ACCEPTED +REASON +AGE", table)
        assert re.search(r"listed +False +NotDelegated", table)
    finally:
        cluster.api.delete(path)

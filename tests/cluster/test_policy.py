"""Policies of the API server, compared with the decisions of the webhook."""

from __future__ import annotations

import json

import pytest

from tests.cluster.api import namespaced
from tests.cluster.deciding import decided, made_up, shown
from tests.cluster.policies import (
    PROBE,
    applied,
    charted,
    differences,
    install,
    values_of,
)
from tests.cluster.world import ENABLED, MIRROR, images, pod
from tests.cluster.world import RULES as SOME
from tests.render.expectations import RULES
from tests.tools.helm import helm3
from webhook.core import Rule
from webhook.render import PolicyOptions, Selection, render_enforcement, render_policy

NAMES = ("paths", "parts", "moves", "everything", "flat", "all", "daocloud")
HUB = "harbor.example.com/dockerhub"
NAME = "policy"
PROBED = {"match": "probe.example", "mirrors": ["probed.example"]}


@pytest.fixture(scope="module")
def place(world):
    """A namespace that all policies of these tests select."""
    return world.namespace(ENABLED)


@pytest.fixture(scope="module", autouse=True)
def kept(world, place):
    """A policy with parameters that exists during all tests.

    After the last such policy is deleted, an API server reads no parameters until it restarts:
    https://github.com/kubernetes/kubernetes/issues/130887.
    """
    options = PolicyOptions(name="kept", params=place)
    rendered = render_policy([Rule("kept.example", ["mirrored.example"])], options)
    with applied(world, place, rendered, "kept.example/x"):
        yield


def by_the_command(world, place, rules):
    return applied(world, place, render_policy(rules, PolicyOptions()))


def by_parameter(world, place, rules):
    options = PolicyOptions(params=place, selection=Selection.ALL)
    return applied(world, place, render_policy(rules, options))


def by_the_chart(world, place, rules):
    return charted(world, place, {"rules": values_of(rules)})


WAYS = {
    "command": by_the_command,
    "command with a parameter": by_parameter,
    "chart": by_the_chart,
}
every_way = pytest.mark.parametrize("way", WAYS)


@every_way
@pytest.mark.parametrize("name", NAMES)
def test_policy_and_webhook_give_every_pod_the_same_images(world, place, way, name):
    rules = [*RULES[name].rules, PROBE]
    with WAYS[way](world, place, rules):
        compared, wrong = differences(world, place, rules)
    assert not wrong
    assert compared >= len(list(made_up()))


@every_way
def test_policy_rewrites_only_images_that_an_update_changes(world, place, way):
    name = f"running-{way.replace(' ', '-')}"
    world.create(place, pod("quay.io/a/b:1", "nginx:1", name=name))
    path = namespaced("pods", place, name)
    rules = [*RULES["paths"].rules, PROBE]
    with WAYS[way](world, place, rules):
        before = world.api.get(path)
        changed = world.api.patch(path, {"metadata": {"labels": {"a": "b"}}})
        assert shown(changed) == shown(before)
        new = world.api.get(path)
        new["spec"]["containers"][1]["image"] = "nginx:2"
        renewed = world.api.put(path, new)
        assert shown(renewed) == decided(new, rules, changed)
        assert images(renewed) == {"c0": "quay.io/a/b:1", "c1": f"{HUB}/library/nginx:2"}


@every_way
def test_policy_record_follows_the_images(world, place, way):
    rules = [*RULES["paths"].rules, PROBE]
    name = f"recorded-{way.replace(' ', '-')}"
    path = namespaced("pods", place, name)
    with WAYS[way](world, place, rules):
        given = pod("nginx:1", "quay.io/argoproj/a:1", "r.example/x", name=name)
        before = world.create(place, given)
        assert shown(before) == decided(given, rules)
        assert shown(before)["record"] == {"c0": "nginx:1", "c1": "quay.io/argoproj/a:1"}
        copied = json.loads(json.dumps(before))
        copied["metadata"] = {"name": "copy", "annotations": before["metadata"]["annotations"]}
        copied["spec"]["containers"][1]["image"] = f"{HUB}/library/other:1"
        assert shown(world.create(place, copied, dryRun="All"))["record"] == {"c0": "nginx:1"}
        for container, image, record in (
            (1, "r.example/y", {"c0": "nginx:1"}),
            (1, "quay.io/argoproj/a:2", {"c0": "nginx:1", "c1": "quay.io/argoproj/a:2"}),
            (0, f"{HUB}/library/redis", {"c1": "quay.io/argoproj/a:2"}),
            (1, "r.example/z", None),
        ):
            new = world.api.get(path)
            new["spec"]["containers"][container]["image"] = image
            changed = world.api.put(path, new)
            assert shown(changed) == decided(new, rules, before)
            assert shown(changed)["record"] == record
            before = changed


@every_way
def test_policy_rewrites_new_ephemeral_containers(world, place, way):
    name = f"debugged-{way.replace(' ', '-')}"
    world.create(place, pod("quay.io/a/b:1", name=name))
    with WAYS[way](world, place, [*RULES["paths"].rules, PROBE]):
        command = ("debug", "-n", place, f"pod/{name}", "--image=busybox", "-c=look")
        world.plane.kubectl(*command, "--attach=false", "--", "true")
    found = world.api.get(namespaced("pods", place, name))
    assert shown(found) == {
        "c0": "quay.io/a/b:1",
        "look": f"{HUB}/library/busybox",
        "record": None,
    }


@every_way
def test_policy_skips_mirror_pods(world, place, way):
    world.api.post("/api/v1/nodes", {"metadata": {"name": "static"}})
    given = pod("nginx", nodeName="static", automountServiceAccountToken=False)
    given["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "0123"}
    try:
        with WAYS[way](world, place, [*RULES["paths"].rules, PROBE]):
            created = world.create(place, given, dryRun="All")
    finally:
        world.api.delete("/api/v1/nodes/static")
    assert images(created) == {"c0": "nginx"}


def test_enforcement_refuses_unmirrored_images(world, place):
    options = PolicyOptions(name="mirrorhook-enforce", params=place)
    rendered = render_enforcement([*RULES["paths"].rules, PROBE], options)
    with applied(world, place, rendered):
        given = pod("nginx", "quay.io/a/b:1", f"{HUB}/x/y")
        answer = world.api.ask("POST", namespaced("pods", place), given, dryRun="All")
        assert answer.is_error
        message = answer.json()["message"]
        assert "these images are not from a mirror: nginx, quay.io/a/b:1" in message
        assert world.tried(place, f"{HUB}/library/nginx") == f"{HUB}/library/nginx"


@pytest.mark.parametrize(
    ("way", "count"),
    [("command", 500), ("chart", 1800), ("command with a parameter", 5000)],
)
def test_policy_stays_within_the_budget_for_many_rules_and_long_images(world, place, way, count):
    rules = [Rule(f"r{n}.example.com/team", [f"m.example.com/r{n}"]) for n in range(count)]
    rules.append(PROBE)
    with WAYS[way](world, place, rules):
        given = pod(*(f"r{n}.example.com/team/{'x' * 200}:{'t' * 100}" for n in range(100)))
        created = world.create(place, given, dryRun="All")
        assert shown(created) == decided(given, rules)


def test_policy_of_the_chart_selects_the_same_namespaces_as_the_webhook(world, place):
    listed, other, opted_out = world.namespace(), world.namespace(), world.namespace()
    labels = {"metadata": {"labels": {"mirrorhook.io/rewrite": "disabled"}}}
    world.api.patch(f"/api/v1/namespaces/{opted_out}", labels)
    selection = {"namespaces": [listed, opted_out]}
    with charted(world, place, {"rules": [*SOME, PROBED], "selection": selection}, NAME):
        world.wait_for(listed, "nginx", f"{MIRROR}/hub/library/nginx")
        assert world.tried(place, "nginx") == f"{MIRROR}/hub/library/nginx"
        for left_alone in (other, opted_out, "kube-system"):
            assert world.tried(left_alone, "nginx") == "nginx"
        world.api.patch(f"/api/v1/namespaces/{NAME}", {"metadata": {"labels": ENABLED}})
        assert world.tried(NAME, "nginx") == "nginx"


def test_policy_of_the_chart_skips_pods_of_operators(world, place):
    with charted(world, place, {"rules": [*SOME, PROBED]}):
        given = pod("nginx")
        given["metadata"]["labels"] = {"cnpg.io/podRole": "instance"}
        assert images(world.create(place, given, dryRun="All")) == {"c0": "nginx"}


def test_rules_of_a_policy_change_with_both_helm_versions(world, place):
    with charted(world, place, {"rules": [*SOME, PROBED]}):
        assert world.tried(place, "quay.io/a") == f"{MIRROR}/quay/a"
        rules = [{"match": "quay.io", "mirrors": ["other.example"]}, PROBED]
        install(world, {"rules": rules}, NAME, helm3())
        world.wait_for(place, "quay.io/a", "other.example/a")
        assert world.tried(place, "nginx") == "nginx"
        for resource in ("apps/v1/deployments", "services", "pods"):
            assert world.api.get(namespaced(resource, NAME))["items"] == []


def test_release_switches_from_webhook_to_policy_and_back(world, place):
    webhooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    webhook = f"{webhooks}/{NAME}-mirrorhook.{NAME}"
    values = {"rules": [*SOME, PROBED]}
    install(world, {"rewriter": "webhook", **values}, NAME)
    assert world.api.find(webhook)
    with charted(world, place, values):
        assert not world.api.find(webhook)
        assert world.tried(place, "nginx") == f"{MIRROR}/hub/library/nginx"
        install(world, {"rewriter": "webhook", **values}, NAME)
        assert world.api.find(webhook)
        world.wait_for(place, "nginx", "nginx")


def test_annotation_records_the_original_images(world, place):
    with charted(world, place, {"rules": [*SOME, PROBED]}):
        created = world.create(place, pod("nginx", "r.example/x"), dryRun="All")
        annotations = created["metadata"]["annotations"]
        assert json.loads(annotations["mirrorhook.io/original-images"]) == {"c0": "nginx"}
    with charted(world, place, {"rules": [*SOME, PROBED], "record": False}):
        created = world.create(place, pod("nginx"), dryRun="All")
        assert not created["metadata"].get("annotations")

"""Pods that start while the rules file is invalid, on a node with real probes and evictions."""

from __future__ import annotations

import httpx
import pytest

from tests.cluster.api import namespaced
from tests.cluster.deployment import NAME, replicas
from tests.cluster.node import REGISTRY
from tests.cluster.processes import until
from tests.cluster.world import ENABLED

PODS = namespaced("pods", NAME)
RULES = namespaced("configmaps", NAME, f"{NAME}-rules")
DEPLOYMENT = namespaced("apps/v1/deployments", NAME, NAME)
INVALID = "rules:\n  - {match: docker.io, mirrors: [https://harbor.example.com]}\n"


@pytest.fixture
def world(node_world, installed):
    until(lambda: len(replicas(installed)) == 2, "two replicas")
    valid = node_world.api.get(RULES)["data"]["rules.yaml"]
    node_world.api.patch(RULES, {"data": {"rules.yaml": INVALID}})
    yield node_world
    node_world.api.patch(RULES, {"data": {"rules.yaml": valid}})


def list_pods(world):
    selected = {"labelSelector": "app.kubernetes.io/component=webhook"}
    found = world.api.get(PODS, **selected)["items"]
    return [each for each in found if "deletionTimestamp" not in each["metadata"]]


def read_probe(found):
    """Return what a Pod says at /readyz; empty if it does not answer."""
    address = found["status"].get("podIP")
    try:
        return httpx.get(f"http://{address}:8080/readyz").text if address else ""
    except httpx.TransportError:
        return ""


def read_log(world, found):
    return world.api.ask("GET", f"{PODS}/{found['metadata']['name']}/log").text


def find_waiting(world):
    """Return the Pods that run and wait for valid rules."""
    return [each for each in list_pods(world) if "rules: /etc" in read_probe(each)]


def evict(world, found):
    name = found["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    return world.api.ask("POST", f"{PODS}/{name}/eviction", body)


def count_restarts(world):
    return sum(
        status["restartCount"]
        for each in list_pods(world)
        for status in each["status"].get("containerStatuses", ())
    )


def test_pod_that_starts_with_invalid_rules_blocks_neither_drain_nor_upgrade(world, installed):
    space = world.namespace(ENABLED)
    rewritten = f"{REGISTRY}/hub/library/nginx"
    assert evict(world, replicas(installed)[0]).is_success
    (waiting,) = until(lambda: find_waiting(world), "a Pod that waits for rules")
    (reason,) = read_probe(waiting).splitlines()
    assert reason.endswith("1 problem; to see what to fix, read the log of this Pod")
    assert "has a scheme: write harbor.example.com" in read_log(world, waiting)
    # The other replica serves the rules that it has.
    (serving,) = replicas(installed)
    assert world.tried(space, "nginx") == rewritten

    # A drain may evict the Pod that waits, but not the last one that has rules.
    assert evict(world, waiting).is_success
    until(lambda: find_waiting(world), "the next Pod that waits for rules")
    assert evict(world, serving).status_code == httpx.codes.TOO_MANY_REQUESTS

    # An upgrade keeps the Pods that have rules.
    stamp = {"spec": {"template": {"metadata": {"annotations": {"example.com/new": "yes"}}}}}
    world.api.patch(DEPLOYMENT, stamp)
    generation = world.api.get(DEPLOYMENT)["metadata"]["generation"]
    until(lambda: len(find_waiting(world)) == 2, "a Pod of the new version that waits")
    assert world.tried(space, "nginx") == rewritten
    assert count_restarts(world) == 0

    # A valid file is enough: no Pod has to be deleted or restarted.
    valid = INVALID.replace("https://harbor.example.com", f"{REGISTRY}/hub")
    world.api.patch(RULES, {"data": {"rules.yaml": valid}})
    for each in list_pods(world):
        # A change of the Pod lets the kubelet look at its volumes now, not within a minute.
        changed = {"metadata": {"annotations": {"example.com/look": "now"}}}
        world.api.patch(f"{PODS}/{each['metadata']['name']}", changed)

    def is_complete():
        status = world.api.get(DEPLOYMENT)["status"]
        seen = status.get("observedGeneration") == generation
        return seen and status.get("updatedReplicas") == status.get("availableReplicas") == 2

    until(is_complete, "the end of the rollout")
    assert count_restarts(world) == 0
    assert world.tried(space, "nginx") == rewritten

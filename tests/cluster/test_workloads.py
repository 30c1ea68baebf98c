"""Pods that controllers create."""

from __future__ import annotations

import pytest

from tests.cluster.api import namespaced
from tests.cluster.world import MIRROR, images, pod

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": pod("nginx:1", initContainers=[{"name": "wait", "image": "gcr.io/wait"}])["spec"],
}
SELECTED = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
ONCE = TEMPLATE | {"spec": TEMPLATE["spec"] | {"restartPolicy": "Never"}}
EXPECTED = {"c0": f"{MIRROR}/hub/library/nginx:1", "wait": f"{MIRROR}/gcr/wait"}
WORKLOADS = {
    "apps/v1/deployments": SELECTED,
    "apps/v1/replicasets": SELECTED,
    "apps/v1/statefulsets": SELECTED | {"serviceName": "web"},
    "apps/v1/daemonsets": SELECTED,
    "replicationcontrollers": {"selector": {"app": "web"}, "template": TEMPLATE},
    "batch/v1/jobs": {"template": ONCE},
    "batch/v1/cronjobs": {
        "schedule": "* * * * *",
        "jobTemplate": {"spec": {"template": ONCE}},
    },
}


@pytest.fixture(scope="module")
def node(world):
    """A Node for DaemonSets."""
    world.api.post("/api/v1/nodes", {"metadata": {"name": "bare"}})
    yield
    world.api.delete("/api/v1/nodes/bare")


@pytest.mark.parametrize("resource", WORKLOADS)
def test_pods_of_a_controller_are_rewritten(world, release, node, space, resource):
    given = {"metadata": {"name": "web"}, "spec": WORKLOADS[resource]}
    created = world.api.post(namespaced(resource, space), given)
    if resource.endswith("cronjobs"):
        run = f"job/{created['metadata']['name']}-1"
        world.plane.kubectl("create", "job", "-n", space, run[4:], "--from=cronjob/web")
    (found,) = world.pods(space)
    assert images(found) == EXPECTED
    template = world.api.get(namespaced(resource, space, "web"))["spec"]
    assert template["template" if "template" in template else "jobTemplate"] != EXPECTED


def test_controller_keeps_its_rewritten_pods(world, release, space):
    given = {"metadata": {"name": "web"}, "spec": SELECTED | {"replicas": 3}}
    path = namespaced("apps/v1/deployments", space)
    world.api.post(path, given)
    before = {each["metadata"]["uid"] for each in world.pods(space, 3)}
    world.api.patch(f"{path}/web", {"metadata": {"labels": {"touched": "yes"}}})
    world.image(space, "nginx")
    after = {each["metadata"]["uid"] for each in world.pods(space, 4)}
    assert before < after
    assert len(after) == len(before) + 1

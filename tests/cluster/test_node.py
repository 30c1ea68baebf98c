"""Pods on a node: images are pulled from the mirror, and the webhook runs as two Pods."""

from __future__ import annotations

import httpx
import pytest

from tests.cluster.api import namespaced
from tests.cluster.deployment import NAME, install, replicas, reviews, running
from tests.cluster.node import REGISTRY
from tests.cluster.processes import until
from tests.cluster.storm import storm
from tests.cluster.world import ENABLED, images, pod
from tests.tools.helm import helm4


@pytest.fixture(scope="module")
def world(node_world):
    return node_world


@pytest.fixture
def release(installed):
    return installed


@pytest.fixture
def space(world, release):
    return world.namespace(ENABLED)


def test_images_of_a_deployment_are_pulled_from_the_mirror(node, world, space):
    node.push("gcr/team/app:1")
    node.push("k8s/pause:3.10")
    node.push("hub/library/nginx:latest")
    digest = node.push("quay/tool:2")
    given = pod(
        "gcr.io/team/app:1", "registry.k8s.io/pause:3.10", "nginx", f"quay.io/tool@{digest}"
    )
    template = {"metadata": {"labels": {"app": "web"}}, "spec": given["spec"]}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    path = namespaced("apps/v1/deployments", space)
    world.api.post(path, {"metadata": {"name": "web"}, "spec": spec})
    (found,) = world.pods(space)
    found = running(world, space, found["metadata"]["name"])
    statuses = found["status"]["containerStatuses"]
    assert all(each["imageID"].startswith(f"{REGISTRY}/") for each in statuses)
    wanted = {"gcr/team/app:1", "k8s/pause:3.10", "hub/library/nginx:latest"}
    assert wanted | {f"quay/tool:{digest}"} <= node.pulled()


def test_image_cannot_be_pulled_without_the_webhook(world, release):
    space = world.namespace()
    world.create(space, pod("gcr.io/team/app:1"))
    path = namespaced("pods", space, "web")

    def waiting():
        statuses = world.api.get(path)["status"].get("containerStatuses", [{}])
        reason = statuses[0].get("state", {}).get("waiting", {}).get("reason", "")
        return reason in {"ErrImagePull", "ImagePullBackOff"}

    until(waiting, "an image that cannot be pulled")


def test_image_volume_is_mounted(node, world, space):
    node.push("hub/library/busybox:1")
    node.push("quay/models/small:1", files={"weights": b"seven"})
    volume = {"name": "model", "image": {"reference": "quay.io/models/small:1"}}
    mount = [{"name": "model", "mountPath": "/model"}]
    given = pod("busybox:1", volumes=[volume], restartPolicy="Never")
    given["spec"]["containers"][0] |= {
        "command": ["/bin/cat", "/model/weights"],
        "volumeMounts": mount,
    }
    world.create(space, given)
    path = namespaced("pods", space, "web")
    until(lambda: world.api.get(path)["status"]["phase"] == "Succeeded", "its end")
    assert world.plane.kubectl("logs", "-n", space, "web") == "seven"


def test_container_of_kubectl_debug_runs(node, world, space):
    node.push("gcr/team/app:1")
    node.push("hub/library/busybox:latest")
    world.create(space, pod("gcr.io/team/app:1"))
    running(world, space, "web")
    command = ("debug", "-n", space, "pod/web", "--image=busybox", "--container=look")
    world.plane.kubectl(*command, "--attach=false", "--", "/bin/sleep", "1000")
    path = namespaced("pods", space, "web")

    def state():
        statuses = world.api.get(path)["status"].get("ephemeralContainerStatuses", [])
        return statuses and "running" in statuses[0]["state"]

    until(state, "the container for debugging")
    assert images(world.api.get(path))["look"] == f"{REGISTRY}/hub/library/busybox"


def test_rolling_update_of_the_webhook_loses_no_pod(node, world, space):
    before = {each["metadata"]["uid"] for each in replicas(node)}
    with storm(world, space, f"{REGISTRY}/hub/library/nginx"):
        install(node, podAnnotations={"example.org/again": "yes"})
    after = {each["metadata"]["uid"] for each in replicas(node)}
    assert len(before) == len(after) == 2
    assert before.isdisjoint(after)


def test_drain_evicts_one_replica_at_a_time_and_loses_no_pod(node, world, space):
    kind = {"apiVersion": "policy/v1", "kind": "Eviction"}
    before = [each["metadata"]["name"] for each in replicas(node)]
    refused = 0
    with storm(world, space, f"{REGISTRY}/hub/library/nginx"):
        for name in before:
            path = namespaced("pods", NAME, f"{name}/eviction")
            # Like a drain, try again until the disruption budget allows it.
            while True:
                answer = world.api.ask("POST", path, kind | {"metadata": {"name": name}})
                if answer.is_success:
                    break
                assert answer.status_code == httpx.codes.TOO_MANY_REQUESTS
                refused += 1
                until(lambda: len(replicas(node)) == 2, "two replicas")
        until(lambda: len(replicas(node)) == 2, "two replicas")
    assert refused
    assert not {each["metadata"]["name"] for each in replicas(node)} & set(before)


def test_both_replicas_answer_reviews(node, world, space):
    until(lambda: len(replicas(node)) == 2, "two replicas")
    before = {each["metadata"]["name"]: reviews(each) for each in replicas(node)}
    with storm(world, space, f"{REGISTRY}/hub/library/nginx"):

        def grown():
            now = {each["metadata"]["name"]: reviews(each) for each in replicas(node)}
            return all(now[name] > count for name, count in before.items())

        # A connection ends after 30 seconds, and each new one goes to one of both by chance.
        until(grown, "reviews at both", 330)


def test_helm_test_passes(node, release):
    output = node.plane.run(helm4(), "test", NAME, "--namespace", NAME, "--timeout", "300s")
    assert "Succeeded" in output

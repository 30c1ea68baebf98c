"""The console of one replica, through `kubectl port-forward`, shows all replicas."""

from __future__ import annotations

import re
from contextlib import contextmanager

import httpx
import pytest

from tests.cluster.api import namespaced
from tests.cluster.deployment import NAME, replicas
from tests.cluster.node import REGISTRY
from tests.cluster.processes import until
from tests.cluster.programs import program
from tests.cluster.world import ENABLED, pod
from webhook import __version__

FORWARDED = re.compile(r"Forwarding from (127\.0\.0\.1:\d+) -> 8080")
PODS = namespaced("pods", NAME)
OLDER = "import webhook; webhook.__version__ = '0.0.9'; from webhook.cli.main import main; main()"


@pytest.fixture(scope="module")
def world(node_world, installed):
    until(lambda: len(replicas(installed)) == 2, "two replicas")
    return node_world


@contextmanager
def console(world, name):
    """Forward the port of a Pod, and yield a client of its console."""
    processes = world.plane.processes
    command = ("port-forward", f"pod/{name}", ":8080", f"--namespace={NAME}")
    kubectl = program("kubectl")
    processes.start("forward", kubectl, *command, env=world.plane.environment)
    try:
        (address, *_) = until(lambda: FORWARDED.findall(processes.tail("forward")))
        with httpx.Client(base_url=f"http://{address}") as client:
            yield client
    finally:
        processes.end("forward")
        (processes.logs / "forward.log").unlink()


def seen(client):
    """Return the response of /api/replicas after the cached one has expired."""
    answered = client.get("/api/replicas")
    assert answered.is_success, answered.text
    return answered.json()


def test_console_of_each_replica_shows_both(world, installed):
    names = {each["metadata"]["name"] for each in replicas(installed)}
    for name in names:
        with console(world, name) as client:
            response = until(
                lambda client=client: (found := seen(client))["differences"] == [] and found
            )
            page = client.get("/?lang=en").text
        assert (response["complete"], response["reason"]) == (True, "")
        assert {each["name"] for each in response["replicas"]} == names
        assert [each["name"] for each in response["replicas"] if each["this"]] == [name]
        for each in response["replicas"]:
            assert each["status"] == "ready", response
            assert each["state"]["version"] == __version__
            assert len(each["state"]["rules"]["digest"]) == 12
        assert "All 2 replicas have the same version and the same rules." in page


def test_console_of_each_replica_has_the_decisions_of_both(world, installed):
    space = world.namespace(ENABLED)
    for number in range(12):
        world.create(space, pod("quay.io/our/app", name=f"web-{number}"))
    for each in replicas(installed):
        with console(world, each["metadata"]["name"]) as client:
            answer = client.get("/api/decisions", params={"text": f"{space}/"}).json()
        assert (answer["replicas"], answer["answered"], answer["missing"]) == (2, 2, [])
        assert {pod["pod"] for pod in answer["pods"]} == {f"web-{n}" for n in range(12)}
        assert {pod["images"][0]["reason"] for pod in answer["pods"]} == {
            "rule quay.io/our keeps it"
        }
    for each in replicas(installed):
        # A Pod of the cluster reaches the port, but reads nothing.
        url = f"http://{each['status']['podIP']}:8080/replica/decisions?query=x"
        assert httpx.get(url).status_code == 403


@pytest.fixture
def odd_ones(world, installed):
    """Pods behind the Service: an older version with other rules, and one without answers."""
    found = replicas(installed)[0]
    labels = dict(found["metadata"]["labels"])
    del labels["pod-template-hash"]  # otherwise the ReplicaSet would adopt them
    rules = {"rules.yaml": "rules: []"}
    configured = {"metadata": {"name": "older-rules"}, "data": rules}
    world.api.post(namespaced("configmaps", NAME), configured)
    spec = found["spec"]
    del spec["nodeName"]
    (container,) = spec["containers"]
    ports = container["ports"]
    container["command"] = ["python3", "-c", OLDER]
    for volume in spec["volumes"]:
        if volume["name"] == "rules":
            volume["configMap"]["name"] = "older-rules"
    older = {"metadata": {"name": "older", "labels": labels}, "spec": spec}
    mute = pod(f"{REGISTRY}/mute:1", name="mute", terminationGracePeriodSeconds=0)
    mute["metadata"]["labels"] = labels
    mute["spec"]["containers"][0] |= {
        "ports": ports,
        "readinessProbe": {"exec": {"command": ["/bin/cat", "/nothing"]}},
    }
    installed.push("mute:1")
    for each in (older, mute):
        world.create(NAME, each)
    yield
    for name in ("older", "mute"):
        world.api.delete(namespaced("pods", NAME, name))
    world.api.delete(namespaced("configmaps", NAME, "older-rules"))
    until(lambda: len(world.api.get(PODS)["items"]) == 2, "the end of both")


def test_console_reports_differences_and_silent_replicas(world, installed, odd_ones):
    name = min(each["metadata"]["name"] for each in replicas(installed))

    def all_four():
        response = seen(client)
        found = {each["name"]: each for each in response["replicas"]}
        steady = found.get("older", {}).get("status") == "ready"
        return response if steady and "mute" in found else None

    with console(world, name) as client:
        response = until(all_four, "four replicas")
        page = client.get("/?lang=en").text
    assert "3 of 4 replicas answered: what the others decided is missing here." in page
    assert response["differences"] == ["version", "rules"]
    found = {each["name"]: each for each in response["replicas"]}
    assert found["older"]["state"]["version"] == "0.0.9"
    assert found["mute"]["status"] == "no-answer"
    assert "cannot be reached: Connection refused" in found["mute"]["reason"]
    for sentence in (
        "Versions differ: a rolling update is in progress",
        "Rules differ: a change of the file is still spreading",
        "1 of 4 replicas do not answer.",
    ):
        assert sentence in page

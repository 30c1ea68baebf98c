"""The chart on a node that runs its Pods."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.cluster.api import namespaced
from tests.cluster.node import REGISTRY, Node
from tests.cluster.processes import until
from tests.cluster.release import CHART
from tests.cluster.world import World
from tests.tools.helm import helm4

__all__ = ["NAME", "install", "is_ready", "replicas", "reviews", "running", "uninstall"]

NAME = "mirrorhook"
HOSTS = {"docker.io": "hub", "gcr.io": "gcr", "registry.k8s.io": "k8s", "quay.io": "quay"}
VALUES = {
    "image": {"registry": REGISTRY, "repository": "mirrorhook", "tag": "test"},
    "rules": [
        *({"match": host, "mirrors": [f"{REGISTRY}/{to}"]} for host, to in HOSTS.items()),
        {"match": "quay.io/our", "keep": True},
    ],
    "webhook": {"failurePolicy": "Fail"},
}
SERIES = "mirrorhook_reviews_total"


def install(node: Node, *, wait: bool = True, **values: Any) -> None:
    """Install or upgrade the chart.

    Args:
        node: The cluster.
        wait: Let Helm wait until the Pods are ready.
        values: Values in addition to those that all tests use.
    """
    file = node.folder / "values.json"
    file.write_text(json.dumps(VALUES | values))
    node.plane.run(
        *(helm4(), "upgrade", "--install", NAME, CHART, "--namespace", NAME),
        *("--create-namespace", "--values", file),
        *(("--wait", "--timeout", "300s") if wait else ()),
    )


def uninstall(node: Node) -> None:
    """Uninstall the chart."""
    node.plane.run(helm4(), "uninstall", NAME, "--namespace", NAME, "--wait")


def replicas(node: Node) -> list[dict[str, Any]]:
    """Return the Pods of the webhook that are ready and not terminating."""
    selected = {"labelSelector": "app.kubernetes.io/component=webhook"}
    found = node.plane.api.get(namespaced("pods", NAME), **selected)["items"]
    staying = [each for each in found if "deletionTimestamp" not in each["metadata"]]
    return [each for each in staying if is_ready(each)]


def is_ready(found: dict[str, Any]) -> bool:
    """Return whether a Pod is ready."""
    conditions = found.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def running(world: World, space: str, name: str) -> dict[str, Any]:
    """Wait until a Pod is ready, and return it."""
    path = namespaced("pods", space, name)
    until(lambda: is_ready(world.api.get(path)), f"{name} ready")
    return world.api.get(path)


def reviews(found: dict[str, Any]) -> float:
    """Return how many reviews a Pod of the webhook has answered."""
    answer = httpx.get(f"http://{found['status']['podIP']}:8080/metrics").text
    lines = [line for line in answer.splitlines() if line.startswith(SERIES)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)

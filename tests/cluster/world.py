"""Creates namespaces and Pods in a cluster."""

from __future__ import annotations

import itertools
from typing import Any

from tests.cluster.api import namespaced
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import until

__all__ = ["ENABLED", "MIRROR", "RULES", "World", "images", "pod"]

ENABLED = {"mirrorhook.io/rewrite": "enabled"}
MIRROR = "mirror.example"
RULES = [
    {"match": "docker.io", "mirrors": [f"{MIRROR}/hub"]},
    {"match": "registry.k8s.io", "mirrors": [f"{MIRROR}/k8s"]},
    {"match": "gcr.io", "mirrors": [f"{MIRROR}/gcr"]},
    {"match": "quay.io", "mirrors": [f"{MIRROR}/quay"]},
    {"match": "quay.io/our", "keep": True},
]


class World:
    """Creates namespaces and Pods.

    Args:
        plane: The cluster.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.api = plane.api
        self._numbers = itertools.count(1)

    def namespace(self, labels: dict[str, str] | None = None, name: str = "") -> str:
        """Create a namespace, wait until it accepts Pods, and return its name."""
        name = name or f"space-{next(self._numbers)}"
        self.api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels or {}}})
        account = namespaced("serviceaccounts", name, "default")
        until(lambda: self.api.find(account), "the service account")
        return name

    def create(self, namespace: str, given: dict[str, Any], **query: str) -> dict[str, Any]:
        """Create a Pod, and return the admitted Pod."""
        return self.api.post(namespaced("pods", namespace), given, **query)

    def image(self, namespace: str, image: str, **query: str) -> str:
        """Create a Pod with one image, and return its image after admission."""
        created = self.create(namespace, pod(image, name=f"pod-{next(self._numbers)}"), **query)
        return created["spec"]["containers"][0]["image"]

    def tried(self, namespace: str, image: str) -> str:
        """Return the image of a Pod after a dry run, or the error message."""
        path = namespaced("pods", namespace)
        answer = self.api.ask("POST", path, pod(image, name="tried"), dryRun="All")
        found = answer.json()
        return images(found)["c0"] if answer.is_success else found["message"]

    def wait_for(self, namespace: str, image: str, expected: str) -> None:
        """Wait until an image is rewritten as expected, after a change of configuration."""
        # A replica that could not reach or change something tries again after 30 seconds at most.
        until(lambda: self.tried(namespace, image) == expected, f"{image} as {expected}")

    def pods(self, namespace: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for Pods that a controller creates, and return them."""
        path = namespaced("pods", namespace)

        def found():
            items = self.api.get(path)["items"]
            return items if len(items) >= count else None

        return until(found, f"{count} Pods in {namespace}")


def pod(*images: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    """Return a Pod with a container for each image."""
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": containers, **spec},
    }


def images(found: dict[str, Any]) -> dict[str, str]:
    """Return every image of a Pod, by the name of its container or volume."""
    spec = found["spec"]
    lists = ("initContainers", "containers", "ephemeralContainers")
    of_containers = {
        entry["name"]: entry.get("image") for field in lists for entry in spec.get(field) or ()
    }
    of_volumes = {
        f"volume:{volume['name']}": volume["image"]["reference"]
        for volume in spec.get("volumes") or ()
        if "image" in volume
    }
    return of_containers | of_volumes

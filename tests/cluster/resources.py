"""Custom resources in a cluster, and a model of the rules that they give."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import until
from tests.cluster.release import Replica
from tests.cluster.world import World, pod
from tests.tools import loopback

__all__ = [
    "DELEGATED",
    "GROUP",
    "KINDS",
    "Model",
    "Resources",
    "Reviewer",
    "remove_kinds",
    "rewrites",
]

GROUP = "/apis/mirrorhook.io/v1alpha1"
KINDS = ("clustermirrorrules", "mirrorrules")
DELEGATED = {"rules": "own"}


class Resources:
    """Writes ClusterMirrorRules (without a namespace) and MirrorRules.

    Args:
        world: The cluster.
    """

    def __init__(self, world: World) -> None:
        self.api = world.api

    def path(self, name: str, namespace: str = "") -> str:
        if namespace:
            return f"{GROUP}/namespaces/{namespace}/mirrorrules/{name}"
        return f"{GROUP}/clustermirrorrules/{name}"

    def put(self, name: str, spec: dict[str, Any], namespace: str = "") -> dict[str, Any]:
        """Create an object, or replace its spec."""
        path = self.path(name, namespace)
        found = self.api.find(path)
        if found is not None:
            return self.api.put(path, found | {"spec": spec})
        kind = "MirrorRules" if namespace else "ClusterMirrorRules"
        body = {
            "apiVersion": "mirrorhook.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        return self.api.post(path.rpartition("/")[0], body)

    def delete(self, name: str, namespace: str = "") -> None:
        self.api.delete(self.path(name, namespace))

    def delete_all(self) -> None:
        for plural in KINDS:
            for each in self.api.get(f"{GROUP}/{plural}")["items"]:
                metadata = each["metadata"]
                self.delete(metadata["name"], metadata.get("namespace", ""))

    def status(self, name: str, namespace: str = "") -> dict[str, str]:
        """Wait until the status is that of the current generation; return each condition's."""

        def current():
            found = self.api.get(self.path(name, namespace))
            conditions = found.get("status", {}).get("conditions", [])
            generation = found["metadata"]["generation"]
            if conditions and all(c["observedGeneration"] == generation for c in conditions):
                return {c["type"]: c["status"] for c in conditions} | {
                    "reason": conditions[0]["reason"],
                    "message": conditions[0]["message"],
                }
            return None

        return until(current, f"the status of {namespace}/{name}")


def remove_kinds(plane: ControlPlane) -> None:
    """Remove the kinds with all their objects, if they are there."""
    names = [f"{plural}.mirrorhook.io" for plural in KINDS]
    plane.kubectl("delete", "crd", *names, "--ignore-not-found")


def rewrites(**mirrors: str) -> dict[str, Any]:
    """Return a spec with a rule for each registry; `gcr="m/x"` is for gcr.io."""
    hosts = {"hub": "docker.io", "gcr": "gcr.io", "quay": "quay.io", "k8s": "registry.k8s.io"}
    rules = [
        {"match": hosts[name], "mirrors": [{"target": mirror}]} for name, mirror in mirrors.items()
    ]
    return {"rules": rules}


class Reviewer:
    """Sends reviews to one replica, without the API server; a context manager.

    Args:
        replica: The replica.
    """

    def __init__(self, replica: Replica) -> None:
        address = f"https://{replica.address}:8443"
        self._client = httpx.Client(base_url=address, verify=loopback.unverified(), timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def rewrite(self, namespace: str, image: str) -> str:
        """Return what becomes of the image of a Pod."""
        request = {
            "uid": "1",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "operation": "CREATE",
            "namespace": namespace,
            "object": pod(image),
        }
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        answer = self._client.post("/mutate", json=body).raise_for_status().json()
        (decision,) = json.loads(answer["response"]["auditAnnotations"]["decisions"])
        return decision.get("result", image)

    def wait_for(self, namespace: str, image: str, expected: str) -> float:
        """Wait until an image is rewritten as expected, and return how many seconds it took."""
        began = time.perf_counter()
        while (found := self.rewrite(namespace, image)) != expected:
            assert time.perf_counter() - began < 90, f"{image} is {found}, not {expected}"
            time.sleep(0.005)
        return time.perf_counter() - began


@dataclass
class ModelObject:
    """An object of the model.

    Attributes:
        age: When it was created, and its name; the older one wins.
        rules: Its rules: mirrors by registry.
        valid: Whether the platform object names a policy that exists.
        good: The last rules that were accepted.
        used: The rules that are in use now.
    """

    age: tuple[str, str]
    rules: dict[str, str]
    valid: bool
    good: dict[str, str] | None = None
    used: dict[str, str] | None = None


@dataclass
class Model:
    """What the rules give, said in the simplest way; for rules of whole registries.

    Attributes:
        file: Mirrors by registry, of the rules file.
        enforced: Registries whose rules in the file are enforced.
        allowed: The registries to which teams may point.
        delegated: The namespaces that may have rules.
        objects: Objects by namespace (empty for the platform) and name.
    """

    file: dict[str, str]
    enforced: set[str]
    allowed: tuple[str, ...]
    delegated: set[str]
    objects: dict[tuple[str, str], ModelObject] = field(default_factory=dict)

    def put(
        self, namespace: str, name: str, created: str, rules: dict[str, str], *, valid: bool
    ) -> None:
        """Create or change an object; *created* is as the API server writes it."""
        known = self.objects.get((namespace, name))
        if known is None:
            self.objects[namespace, name] = ModelObject((created, name), rules, valid)
        else:
            known.rules, known.valid = rules, valid

    def settle(self) -> None:
        """Decide which objects are accepted; the older one wins."""
        for namespace in {each for each, _ in self.objects}:
            taken: set[str] = set()
            members = [each for (space, _), each in self.objects.items() if space == namespace]
            for each in sorted(members, key=lambda each: each.age):
                if self._is_allowed(namespace, each) and not taken & each.rules.keys():
                    each.good = each.used = each.rules
                elif each.good is not None and not taken & each.good.keys():
                    each.used = each.good
                else:
                    each.used = None
                taken |= (each.used or {}).keys()

    def _is_allowed(self, namespace: str, each: ModelObject) -> bool:
        if not namespace:
            return each.valid
        starts = tuple(f"{registry}/" for registry in self.allowed)
        allowed = all(f"{mirror}/".startswith(starts) for mirror in each.rules.values())
        return allowed and namespace in self.delegated

    def is_accepted(self, namespace: str, name: str) -> bool:
        found = self.objects[namespace, name]
        return found.used is found.rules

    def rewrite(self, namespace: str, image: str) -> str:
        """Return what becomes of an image such as `gcr.io/a/b:1` in a namespace."""
        registry, _, rest = image.partition("/")
        layers = [(self._list_used(namespace)), self._list_used(""), self.file]
        # An object of the platform takes the place of the rule, whether that is enforced or not.
        if registry in self.enforced and registry not in layers[1]:
            del layers[0]
        mirror = next((each[registry] for each in layers if registry in each), None)
        return f"{mirror}/{rest}" if mirror else image

    def _list_used(self, namespace: str) -> dict[str, str]:
        used: dict[str, str] = {}
        for (space, _), each in self.objects.items():
            used |= (each.used or {}) if space == namespace else {}
        return used

"""Kinds of other projects, without the programs that act on them."""

from __future__ import annotations

from tests.cluster.processes import until
from tests.cluster.world import World

__all__ = ["DEFINITIONS", "add_kind"]

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def add_kind(world: World, api_version: str, kind: str) -> None:
    """Define a namespaced kind unless the cluster has it, and wait until the API serves it."""
    group, _, version = api_version.partition("/")
    plural = kind.lower().replace("policy", "policie") + "s"
    path = f"{DEFINITIONS}/{plural}.{group}"
    if not world.api.find(path):
        served = {"name": version, "served": True, "storage": True}
        served["schema"] = {"openAPIV3Schema": ANYTHING}
        spec = {"group": group, "scope": "Namespaced", "versions": [served]}
        spec["names"] = {"kind": kind, "plural": plural, "singular": kind.lower()}
        # Groups of Kubernetes itself, such as autoscaling.k8s.io, need this annotation.
        approval = {"api-approved.kubernetes.io": "unapproved, for tests"}
        metadata = {"name": f"{plural}.{group}", "annotations": approval}
        definition = {"metadata": metadata, "spec": spec}
        world.api.post(DEFINITIONS, definition)
    objects = f"/apis/{api_version}/namespaces/default/{plural}"
    until(lambda: world.api.ask("GET", objects).is_success, f"the API of {plural}")

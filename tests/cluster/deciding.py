"""The decisions of the webhook for a Pod, to compare with those of a policy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.cluster.world import images, pod
from tests.reviews import result_of
from webhook.admission import Policy
from webhook.core import MirrorMap, Rule
from webhook.objects import Operation

__all__ = ["cases", "decided", "made_up", "shown"]

PODS = Path(__file__).parents[1] / "cases/pods"
RECORD = "mirrorhook.io/original-images"
DIGEST = "sha256:" + "a" * 64
# Fields that refer to objects that must exist before the API server admits a Pod.
REFERENCES = (
    "serviceAccountName",
    "serviceAccount",
    "priorityClassName",
    "priority",
    "runtimeClassName",
)


def shown(given: dict[str, Any]) -> dict[str, Any]:
    """Return all images of a Pod by their container or volume, and its recorded originals."""
    annotations = given["metadata"].get("annotations") or {}
    record = annotations.get(RECORD)
    return {**images(given), "record": None if record is None else json.loads(record)}


def decided(
    given: dict[str, Any], rules: Iterable[Rule], old: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the same for a Pod as rewritten by the webhook."""
    request = {
        "uid": "u",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "UPDATE" if old else "CREATE",
        "object": given,
        "oldObject": old,
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    body = json.dumps({**review, "request": request}).encode()
    done = json.loads(json.dumps(given))
    for operation in result_of(body, Policy("default", MirrorMap(rules).decide)).operations:
        apply(done, operation)
    return shown(done)


def apply(document: Any, operation: Operation) -> None:
    """Apply one operation of a patch."""
    *way, last = (part.replace("~1", "/") for part in operation.path.split("/")[1:])
    for part in way:
        document = document[int(part) if isinstance(document, list) else part]
    if operation.op == "remove":
        del document[last]
    else:
        document[last] = operation.value


def made_up() -> Iterator[dict[str, Any]]:
    """Yield Pods with images in every field, and with image names of every form."""
    volume = {"name": "data", "image": {"reference": "quay.io/a/data:1"}}
    first = {"name": "i", "image": "index.docker.io/busybox"}
    never = {"name": "n", "image": "nginx", "imagePullPolicy": "Never"}
    yield pod("nginx", "bitnami/redis:7", f"gcr.io/a/b:1@{DIGEST}", "localhost:5000/x")
    yield pod("nginx", initContainers=[first])
    yield pod("registry:5000/x", "Upper.example/x", "a.b.gcr.io/c/d", volumes=[volume])
    yield pod("not/An/image", "nginx:", "f" * 64, "x/" + "y" * 250, "quay.io/our-team/a")
    yield pod(*(f"quay.io/team/{n}/{'long-name/' * 20}app:{n}" for n in range(40)))
    yield pod("nginx", initContainers=[never])
    for place, value in (
        ("labels", {"mirrorhook.io/rewrite": "disabled"}),
        ("annotations", {"mirrorhook.io/rewrite": "disabled"}),
        ("annotations", {"a": "b"}),
        ("annotations", {RECORD: '{"c0":"nginx:1","gone":"nginx"}'}),
        ("annotations", {RECORD: '{"c1":"nginx"}', "a": "b"}),
        ("annotations", {RECORD: "{}"}),
    ):
        marked = pod("nginx", "r.example/x")
        marked["metadata"][place] = value
        yield marked


def cases() -> Iterator[dict[str, Any]]:
    """Yield the made-up Pods, and the Pods in tests/cases."""
    yield from made_up()
    for path in sorted(PODS.glob("*.json")):
        found = json.loads(path.read_text())
        given = found.get("object", found) if isinstance(found, dict) else {}
        if given.get("kind") != "Pod" or not given["spec"].get("containers"):
            continue
        for field in ("namespace", "ownerReferences"):
            given["metadata"].pop(field, None)
        for field in REFERENCES:
            given["spec"].pop(field, None)
        yield given

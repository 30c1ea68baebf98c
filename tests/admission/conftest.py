from __future__ import annotations

import copy
import json

import jsonpatch
import pytest

from tests.reviews import Results, answer, patch_of
from webhook.admission import Policy
from webhook.core import MirrorMap, Rule

RULES = MirrorMap(
    [
        Rule("docker.io", ["m.example/hub"]),
        Rule("quay.io/our-team", keep=True),
        Rule("gcr.io", ["m.example/" + "x" * 240]),
    ]
)
POLICY = Policy("default", RULES.decide)


def review(pod=None, *images, version="admission.k8s.io/v1", **request):
    """An AdmissionReview of a Pod, as the API server sends it."""
    if pod is None:
        containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
        pod = {"metadata": {"name": "web"}, "spec": {"containers": containers}}
    return {
        "apiVersion": version,
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": "shop",
            "object": pod,
            **request,
        },
    }


class Answered:
    """A review and its answer."""

    def __init__(self, given, policy):
        self.recorder = Results()
        body = given if isinstance(given, bytes) else json.dumps(given).encode()
        self.answer = json.loads(answer(body, policy, self.recorder))
        self.response = self.answer["response"]
        self.patch = patch_of(self.response)
        self.warnings = self.response.get("warnings", [])
        self.audit = self.response.get("auditAnnotations", {})
        self.replaced = {
            each["path"]: each["value"] for each in self.patch if each["op"] == "replace"
        }

    def applied_to(self, value):
        return jsonpatch.apply_patch(copy.deepcopy(value), self.patch)


@pytest.fixture(name="review", scope="session")
def review_fixture():
    return review


@pytest.fixture(scope="session")
def ask():
    """A function that answers a review."""

    def run(given, policy=POLICY):
        return Answered(given, policy)

    return run

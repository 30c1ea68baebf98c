from __future__ import annotations

import base64
import copy
import json

import jsonpatch
import pytest

from webhook.admission import Policy, answer
from webhook.core import MirrorMap, Rule

RULES = MirrorMap(
    [
        Rule("docker.io", ["m.example/hub"]),
        Rule("quay.io/our-team", keep=True),
        Rule("gcr.io", ["m.example/" + "x" * 240]),
    ]
)
POLICY = Policy("default", RULES.decide)


class Recorder:
    """Keeps what it is told."""

    def __init__(self):
        self.verdicts = []
        self.errors = []

    def reviewed(self, policy, request, verdict):
        self.verdicts.append((policy, request, verdict))

    def failed(self, policy, request, error):
        self.errors.append((policy, request, error))


def review(pod=None, *images, version="admission.k8s.io/v1", **request):
    """An AdmissionReview of a Pod, as the API server would send it."""
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


def patch_of(response):
    """The operations of a response; patch and patchType come together."""
    assert ("patch" in response) == ("patchType" in response)
    if "patch" not in response:
        return []
    assert response["patchType"] == "JSONPatch"
    return json.loads(base64.b64decode(response["patch"]))


class Asked:
    """One review and what was answered."""

    def __init__(self, given, policy):
        self.recorder = Recorder()
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
    """Have a review answered."""

    def run(given, policy=POLICY):
        return Asked(given, policy)

    return run

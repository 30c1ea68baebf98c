"""
Policies on a real API server against the webhook's own decision.

It takes a cluster of Kubernetes 1.36 or newer that may be changed: MIRRORHOOK_TEST_CLUSTER
names its kubeconfig, and kubectl has to be on PATH.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest

from tests.render.expecting import RULES
from webhook.admission.policy import Policy, judge
from webhook.admission.review import read_review
from webhook.core import MirrorMap, Rule
from webhook.render import PolicyOptions, Selection, render_enforcement, render_policy

KUBECONFIG = os.environ.get("MIRRORHOOK_TEST_CLUSTER")
pytestmark = pytest.mark.skipif(
    not KUBECONFIG, reason="MIRRORHOOK_TEST_CLUSTER names no kubeconfig"
)

PODS = Path(__file__).parents[1] / "cases/pods"
NAMESPACE = f"mirrorhook-test-{uuid4().hex[:8]}"
SECONDS = 20
NAMES = ("paths", "parts", "moves", "everything", "flat", "all", "daocloud")
# Its decision tells when the policy of a test has taken effect.
PROBE = "probe.example.com"


def kubectl(*arguments, content=None):
    return subprocess.run(
        ["kubectl", "--kubeconfig", KUBECONFIG, *arguments],
        input=content,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def asked(pod, *, verb="create"):
    """
    What the API server would make of a Pod; nothing is kept.
    """
    return kubectl(
        verb,
        "--namespace",
        NAMESPACE,
        "--dry-run=server",
        "--validate=ignore",
        "-o",
        "json",
        "-f",
        "-",
        content=json.dumps(pod),
    )


@pytest.fixture(scope="module")
def namespace():
    kubectl("create", "namespace", NAMESPACE)
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": NAMESPACE},
    }
    kubectl("apply", "-f", "-", content=json.dumps(account))
    yield NAMESPACE
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def applied(namespace):
    """
    Put a policy in force, and take it away at the end.
    """
    assert namespace == NAMESPACE
    texts = []

    def put(rendered, step):
        (file,) = rendered.files
        texts.append(file.text)
        done = kubectl("apply", "-f", "-", content=file.text)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: is_in_force(step))

    yield put
    for text in texts:
        kubectl("delete", "-f", "-", content=text)
    wait_until(lambda: not is_in_force("end"))


def is_in_force(step):
    """
    Whether a policy acts on images of the probe.
    """
    probe = asked(pod(f"{PROBE}/{step}"))
    return f"mirrored.example.com/{step}" in probe.stdout or probe.returncode != 0


def wait_until(condition):
    """
    Wait for a policy to take effect, or to end: the API server takes a moment.
    """
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def pod(*images, **spec):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    metadata = spec.pop("metadata", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", **metadata},
        "spec": {"containers": containers, **spec},
    }


def patched(pod_, rules, old=None):
    """
    What the webhook makes of a Pod.
    """
    request = {
        "uid": "u",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "UPDATE" if old else "CREATE",
        "object": pod_,
        "oldObject": old,
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    _, read = read_review(json.dumps({**review, "request": request}).encode())
    verdict = judge(read, Policy("default", MirrorMap(rules).decide))
    return {operation.path: operation.value for operation in verdict.operations}


def shown(pod_):
    """
    All images of a Pod by their pointers, and the annotation.
    """
    found = {}
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for number, container in enumerate(pod_["spec"].get(field) or ()):
            found[f"/spec/{field}/{number}/image"] = container.get("image")
    for number, volume in enumerate(pod_["spec"].get("volumes") or ()):
        if "image" in volume:
            found[f"/spec/volumes/{number}/image/reference"] = volume["image"]["reference"]
    annotations = pod_["metadata"].get("annotations") or {}
    found["record"] = parsed(annotations.get("mirrorhook.io/original-images"))
    return found


def parsed(text):
    """
    The images as they were, whatever their order.
    """
    return None if text is None else json.loads(text)


def expected(pod_, rules, old=None):
    """
    The same of what the webhook makes of it.
    """
    found = shown(pod_)
    for path, value in patched(pod_, rules, old).items():
        if path == "/metadata/annotations":
            found["record"] = parsed(value["mirrorhook.io/original-images"])
        elif path.startswith("/metadata"):
            found["record"] = parsed(value)
        else:
            found[path] = value
    return found


def made_up():
    digest = "sha256:" + "a" * 64
    volume = {"name": "data", "image": {"reference": "quay.io/a/data:1"}}
    yield pod("nginx", "bitnami/redis:7", f"gcr.io/a/b:1@{digest}", "localhost:5000/x")
    yield pod("nginx", initContainers=[{"name": "i", "image": "index.docker.io/busybox"}])
    yield pod("registry:5000/x", "Upper.example/x", "a.b.gcr.io/c/d", volumes=[volume])
    yield pod("nginx", metadata={"labels": {"mirrorhook.io/rewrite": "disabled"}})
    yield pod("nginx", metadata={"annotations": {"mirrorhook.io/rewrite": "disabled"}})
    yield pod("nginx", metadata={"annotations": {"a": "b"}})
    yield pod("not/An/image", "nginx:", "f" * 64, "x/" + "y" * 250, "quay.io/our-team/a")
    yield pod(*(f"quay.io/team/{n}/{'long-name/' * 20}app:{n}" for n in range(40)))
    never = {"name": "n", "image": "nginx", "imagePullPolicy": "Never"}
    yield pod("nginx", initContainers=[never])


def cases():
    yield from made_up()
    for path in sorted(PODS.glob("*.json")):
        if path.name == "index.json":
            continue
        found = json.loads(path.read_text())
        given = found.get("object", found)
        if given.get("kind") != "Pod" or not given["spec"].get("containers"):
            continue
        given["metadata"].pop("namespace", None)
        given["metadata"].pop("ownerReferences", None)
        for field in ("serviceAccountName", "serviceAccount", "priorityClassName"):
            given["spec"].pop(field, None)
        given["spec"].pop("priority", None)
        yield given


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_and_the_webhook_give_every_pod_the_same_images(applied, name):
    rules = [*RULES[name].rules, Rule(PROBE, ["mirrored.example.com"])]
    applied(render_policy(rules, PolicyOptions(selection=Selection.ALL)), name)
    compared = 0
    wrong = {}
    for given in cases():
        done = asked(given)
        if done.returncode:  # the API server refuses it, whoever rewrites it
            continue
        compared += 1
        got, wanted = shown(json.loads(done.stdout)), expected(given, rules)
        if got != wanted:
            wrong[given["metadata"].get("name")] = {
                key: (got.get(key), value)
                for key, value in wanted.items()
                if got.get(key) != value
            }
    assert not wrong
    assert compared >= len(list(made_up()))


def test_an_update_is_rewritten_where_it_changes_an_image(applied):
    old = pod("quay.io/a/b:1", "nginx:1", metadata={"name": "running"})
    kubectl("create", "--namespace", NAMESPACE, "-f", "-", content=json.dumps(old))
    rules = [*RULES["paths"].rules, Rule(PROBE, ["mirrored.example.com"])]
    applied(render_policy(rules, PolicyOptions(selection=Selection.ALL)), "update")
    stored = kubectl("get", "pod", "running", "--namespace", NAMESPACE, "-o", "json")
    before = json.loads(stored.stdout)
    new = json.loads(stored.stdout)
    new["metadata"]["labels"] = {"a": "b"}
    labelled = json.loads(asked(new, verb="replace").stdout)
    assert shown(labelled) == shown(before) == expected(new, rules, before)
    new["spec"]["containers"][1]["image"] = "nginx:2"
    renewed = json.loads(asked(new, verb="replace").stdout)
    assert shown(renewed) == expected(new, rules, before)
    assert shown(renewed)["/spec/containers/1/image"] == (
        "harbor.example.com/dockerhub/library/nginx:2"
    )


def test_a_new_ephemeral_container_is_rewritten(applied):
    running = pod("quay.io/a/b:1", metadata={"name": "debugged"})
    kubectl("create", "--namespace", NAMESPACE, "-f", "-", content=json.dumps(running))
    rules = [*RULES["paths"].rules, Rule(PROBE, ["mirrored.example.com"])]
    applied(render_policy(rules, PolicyOptions(selection=Selection.ALL)), "debug")
    patch = {"spec": {"ephemeralContainers": [{"name": "shell", "image": "busybox"}]}}
    done = kubectl(
        *("patch", "pod", "debugged", "--namespace", NAMESPACE, "-o", "json"),
        *("--subresource=ephemeralcontainers", "--patch", json.dumps(patch)),
    )
    assert done.returncode == 0, done.stderr
    images = shown(json.loads(done.stdout))
    assert images == {
        "/spec/containers/0/image": "quay.io/a/b:1",
        "/spec/ephemeralContainers/0/image": (
            "harbor.example.com/dockerhub/library/busybox"
        ),
        "record": None,
    }


def test_an_enforcement_refuses_images_that_are_not_from_a_mirror(applied):
    rules = [*RULES["paths"].rules, Rule(PROBE, ["mirrored.example.com"])]
    options = PolicyOptions(name="mirrorhook-enforce", selection=Selection.ALL)
    applied(render_enforcement(rules, options), "enforce")
    refused = asked(pod("nginx", "quay.io/a/b:1", "harbor.example.com/dockerhub/x/y"))
    assert refused.returncode
    assert "these images are not from a mirror: nginx, quay.io/a/b:1" in refused.stderr
    assert asked(pod("harbor.example.com/dockerhub/library/nginx")).returncode == 0


@pytest.mark.parametrize("count", [500, 1800])
def test_many_rules_and_long_images_stay_within_the_budget(applied, count):
    rules = [Rule(f"r{n}.example.com/team", [f"m.example.com/r{n}"]) for n in range(count)]
    rules.append(Rule(PROBE, ["mirrored.example.com"]))
    applied(render_policy(rules, PolicyOptions(selection=Selection.ALL)), str(count))
    images = [f"r{n}.example.com/team/{'x' * 200}:{'t' * 100}" for n in range(100)]
    given = pod(*images)
    done = asked(given)
    assert shown(json.loads(done.stdout)) == expected(given, rules)

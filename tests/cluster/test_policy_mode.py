"""The values `rewriter: policy` and `enforce` of the chart, and what doctor reports."""

from __future__ import annotations

import pytest

from tests.cluster.api import namespaced
from tests.cluster.doctoring import doctored, faults
from tests.cluster.policies import charted, install
from tests.cluster.processes import until
from tests.cluster.world import ENABLED, MIRROR, RULES, pod
from tests.tools.helm import helm4

NAME = "policy"
LABELS = [
    {"cnpg.io/podRole": "instance"},
    {"application": "spilo"},
    {"olm.catalogSource": "x"},
    {"aerospike.com/cr": "x"},
    {"kubevirt.io": "virt-launcher"},
]
PROBED = {"match": "probe.example", "mirrors": ["probed.example"]}


def labelled(image, labels):
    given = pod(image)
    given["metadata"]["labels"] = labels
    return given


@pytest.fixture(scope="module")
def place(world):
    """A namespace that all policies of these tests select."""
    return world.namespace(ENABLED)


@pytest.mark.parametrize("rewriter", ["webhook", "policy"])
def test_enforce_refuses_unmirrored_images(world, place, rewriter):
    values = {"rules": [*RULES, PROBED], "rewriter": rewriter}
    past = pod("nginx", f"{MIRROR}/hub/a")  # the webhook does not run
    past["metadata"]["labels"] = {"mirrorhook.io/rewrite": "disabled"}
    sent = ("POST", namespaced("pods", place), past)
    install(world, {**values, "enforce": "deny"}, NAME)
    try:
        refused = until(
            lambda: (answer := world.api.ask(*sent, dryRun="All")).is_error and answer,
            "the policy that refuses",
        )
        message = "these images are not from a mirror: nginx"
        assert refused.json()["message"].endswith(message)
        for labels in LABELS:
            answer = world.api.ask(
                "POST", namespaced("pods", place), labelled("nginx", labels), dryRun="All"
            )
            assert answer.json()["message"].endswith(message), labels
        exempt = {**values, "enforce": "deny", "enforceExemptions": True}
        install(world, exempt, NAME)
        owned = labelled("nginx", LABELS[0])
        until(
            lambda: world.api.ask(sent[0], sent[1], owned, dryRun="All").is_success,
            "the exemption",
        )
        assert world.tried(world.namespace(), "nginx") == "nginx"
        if rewriter == "policy":
            world.wait_for(place, "nginx", f"{MIRROR}/hub/library/nginx")
        else:
            what, mend = faults(world.plane, "--namespace", place)["dry run"]
            assert "these images are not from a mirror" in what
            assert f"kubectl delete validatingadmissionpolicy enforce.{NAME}" in mend
        install(world, {**values, "enforce": "warn"}, NAME)
        warned = until(
            lambda: (answer := world.api.ask(*sent, dryRun="All")).is_success and answer,
            "the policy that warns",
        )
        assert message in warned.headers["Warning"]
        install(world, {**values, "enforce": ""}, NAME)
        until(
            lambda: "Warning" not in world.api.ask(*sent, dryRun="All").headers,
            "its end",
        )
    finally:
        world.plane.run(helm4(), "uninstall", NAME, "--namespace", NAME)
        world.wait_for(place, "nginx", "nginx")


def test_doctor_finds_the_policy_and_its_problems(world, place):
    asked = ("--namespace", place)
    policy = f"{NAME}-mirrorhook.{NAME}"
    other = world.namespace()
    with charted(world, place, {"rules": [*RULES, PROBED]}, NAME):
        code, found = doctored(world.plane, *asked)
        assert (code, {each["status"] for each in found}) == (0, {"ok"}), found
        results = {each["check"]: each["message"] for each in found}
        assert f"{policy} is active by binding {policy} (v1)" in results["policy"]
        assert f"policy {policy} by binding {policy} handles" in results["namespace"]
        assert "became mirror.example/hub/mirrorhook/doctor" in results["dry run"]

        what, mend = faults(world.plane, "--namespace", other)["namespace"]
        assert f"no policy handles the Pods of {other}" in what
        world.plane.kubectl(*mend.split()[1:])
        assert faults(world.plane, "--namespace", other) == {}

        _, found = doctored(world.plane, *asked, "--image", "r.example/x")
        assert (found[-1]["status"], found[-1]["check"]) == ("note", "dry run")
        assert "no rule matches r.example/x" in found[-1]["message"]

        world.create(place, pod("nginx", "r.example/x", name="explained"))
        _, (first, second) = doctored(world.plane, "pod", f"{place}/explained")
        assert (first["status"], second["status"]) == ("ok", "note")

        world.plane.kubectl("delete", "mutatingadmissionpolicybinding", policy)
        assert f"policy {policy} has no binding" in faults(world.plane)["binding"][0]
        install(world, {"rules": [*RULES, PROBED]}, NAME)
        until(lambda: faults(world.plane, *asked) == {}, "the binding")

        world.plane.kubectl("delete", "mutatingadmissionpolicy", policy)
        assert f"there is no policy {policy}" in faults(world.plane)["policy"][0]
        install(world, {"rules": [*RULES, PROBED]}, NAME)

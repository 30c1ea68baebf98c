"""Mutating policies before Kubernetes 1.36, enabled by a feature gate."""

from __future__ import annotations

import pytest

from tests.cluster.api import namespaced
from tests.cluster.control_plane import control_plane
from tests.cluster.deciding import decided, made_up, shown
from tests.cluster.doctoring import doctored
from tests.cluster.policies import PROBE, applied, charted, differences, values_of
from tests.cluster.programs import GATED, OLDEST
from tests.cluster.world import ENABLED, World, images, pod
from tests.render.expectations import RULES
from webhook.render import ApiVersion, PolicyOptions, render_policy

HUB = "harbor.example.com/dockerhub"
ON = (
    "--feature-gates=MutatingAdmissionPolicy=true,ImageVolume=true",
    "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
)


@pytest.fixture(scope="module")
def gated(programs):
    """A cluster of Kubernetes 1.34 with mutating policies enabled."""
    with control_plane(GATED, controllers=OLDEST, options=ON) as plane:
        yield World(plane)


@pytest.fixture(scope="module")
def place(gated):
    """A namespace that all policies of these tests select."""
    return gated.namespace(ENABLED)


def by_the_command(world, place, rules):
    options = PolicyOptions(api_version=ApiVersion.V1BETA1)
    return applied(world, place, render_policy(rules, options))


def by_parameter(world, place, rules):
    options = PolicyOptions(api_version=ApiVersion.V1BETA1, params=place)
    return applied(world, place, render_policy(rules, options))


def by_the_chart(world, place, rules):
    values = {"rules": values_of(rules), "policyApiVersion": "v1beta1"}
    return charted(world, place, values)


@pytest.mark.parametrize(
    ("way", "name"),
    [
        (by_the_command, "paths"),
        (by_the_command, "everything"),
        (by_the_chart, "all"),
        (by_the_chart, "moves"),
        (by_parameter, "parts"),
    ],
)
def test_policy_and_webhook_give_every_pod_the_same_images(gated, place, way, name):
    rules = [*RULES[name].rules, PROBE]
    with way(gated, place, rules):
        compared, wrong = differences(gated, place, rules)
    assert not wrong
    assert compared >= len(list(made_up()))


def test_policy_rewrites_updates_and_ephemeral_containers(gated, place):
    gated.create(place, pod("quay.io/a/b:1", "nginx:1", name="running"))
    path = namespaced("pods", place, "running")
    rules = [*RULES["paths"].rules, PROBE]
    with by_the_command(gated, place, rules):
        before = gated.api.get(path)
        changed = gated.api.patch(path, {"metadata": {"labels": {"a": "b"}}})
        assert shown(changed) == shown(before)
        new = gated.api.get(path)
        new["spec"]["containers"][1]["image"] = "nginx:2"
        renewed = gated.api.put(path, new)
        assert shown(renewed) == decided(new, rules, changed)
        command = ("debug", "-n", place, "pod/running", "--image=busybox", "-c=look")
        gated.plane.kubectl(*command, "--attach=false", "--", "true")
    assert images(gated.api.get(path)) == {
        "c0": "quay.io/a/b:1",
        "c1": f"{HUB}/library/nginx:2",
        "look": f"{HUB}/library/busybox",
    }


def test_doctor_finds_the_policy(gated, place):
    with by_the_chart(gated, place, [*RULES["paths"].rules, PROBE]):
        code, found = doctored(gated.plane, "--namespace", place)
    assert (code, {each["status"] for each in found}) == (0, {"ok"}), found
    results = {each["check"]: each["message"] for each in found}
    assert "answers, version v1.34." in results["API server"]
    assert "(v1beta1)" in results["policy"]
    assert "harbor.example.com" in results["dry run"]

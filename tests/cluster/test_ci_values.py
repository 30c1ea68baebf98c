"""Every values file in ci/ of the chart installs, and its Pods are admitted."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tests.chart.rendering import CHART, CI_VALUES
from tests.cluster.api import namespaced
from tests.cluster.custom_kinds import add_kind
from tests.cluster.processes import until
from tests.tools.helm import helm3, helm4
from webhook.cli.init import init
from webhook.cli.products import PRODUCTS

KINDS = {
    "autoscaling.k8s.io/v1": ["VerticalPodAutoscaler"],
    "cert-manager.io/v1": ["Certificate", "Issuer"],
    "cilium.io/v2": ["CiliumNetworkPolicy"],
    "monitoring.coreos.com/v1": ["PodMonitor", "PrometheusRule", "ServiceMonitor"],
}
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"


@pytest.fixture(scope="module", autouse=True)
def prerequisites(world):
    """What the values refer to."""
    for api_version, kinds in KINDS.items():
        for kind in kinds:
            add_kind(world, api_version, kind)
    world.namespace(name="monitoring")
    runtime = {"metadata": {"name": "gvisor"}, "handler": "runsc"}
    world.api.post("/apis/node.k8s.io/v1/runtimeclasses", runtime)


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_values_of_ci_install_and_uninstall(world, values):
    name = f"ci-{values.stem.removesuffix('-values')}"
    # Both versions render the same; each installs half of the files.
    helm = (helm3, helm4)[CI_VALUES.index(values) % 2]()
    space = world.namespace(name=name)
    account = {"metadata": {"name": "made-elsewhere"}}
    world.api.post(namespaced("serviceaccounts", space), account)
    try:
        world.plane.run(
            helm, "install", name, CHART, "--namespace", space, "--values", values, "--wait=false"
        )
        found = world.api.get(namespaced("apps/v1/deployments", space))["items"]
        if not found:
            assert any(each["metadata"]["name"].endswith(f".{space}") for each in listed(world))
        for deployment in found:
            wait_for_pods(world, space, deployment["metadata"]["name"])
    finally:
        world.plane.run(helm, "uninstall", name, "--namespace", space)
    left = [each["metadata"]["name"] for each in listed(world)]
    assert not [each for each in left if each.endswith(f".{space}")]


@pytest.mark.parametrize("product", PRODUCTS)
def test_values_of_init_install_as_they_are(world, tmp_path, product):
    given = ["--registry=r.example.com/project", f"--product={product}"]
    done = CliRunner().invoke(init, [*given, f"--directory={tmp_path}"])
    assert done.exit_code == 0, done.output
    name, values = f"init-{product}", tmp_path / "values.yaml"
    helm = (helm3, helm4)[[*PRODUCTS].index(product) % 2]()
    command = ("--namespace", name, "--create-namespace", "--values", values, "--wait=false")
    try:
        world.plane.run(helm, "install", name, CHART, *command)
        (deployment,) = world.api.get(namespaced("apps/v1/deployments", name))["items"]
        wait_for_pods(world, name, deployment["metadata"]["name"])
    finally:
        world.plane.run(helm, "uninstall", name, "--namespace", name)


def listed(world):
    return [each for path in (WEBHOOKS, POLICIES) for each in world.api.get(path)["items"]]


def wait_for_pods(world, space, name):
    """Wait until the API server has admitted all Pods of a Deployment. No node runs them."""

    def are_created():
        found = world.api.get(namespaced("apps/v1/deployments", space, name))
        conditions = found.get("status", {}).get("conditions", [])
        failed = [each["message"] for each in conditions if each["type"] == "ReplicaFailure"]
        assert not failed
        return found.get("status", {}).get("replicas") == found["spec"]["replicas"]

    until(are_created, f"the Pods of {name}")

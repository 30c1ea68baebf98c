"""The oldest Kubernetes that the chart supports."""

from __future__ import annotations

import pytest
import yaml

from tests.cluster.control_plane import control_plane
from tests.cluster.doctoring import doctored
from tests.cluster.programs import OLDEST
from tests.cluster.release import CHART, released
from tests.cluster.storm import storm
from tests.cluster.test_access import assert_only_the_ca_bundle_may_change
from tests.cluster.test_conditions import CONDITIONS, Counts
from tests.cluster.world import ENABLED, MIRROR, RULES, World, images, pod
from tests.tools.helm import helm3

NGINX = f"{MIRROR}/hub/library/nginx"


@pytest.fixture(scope="module")
def bare(programs):
    """A cluster of the oldest version."""
    with control_plane(OLDEST) as plane:
        yield World(plane)


@pytest.fixture(scope="module")
def old(bare):
    """The same cluster with a release, and a namespace that opted in."""
    with released(bare.plane, {"rules": RULES} | CONDITIONS) as release:
        space = bare.namespace(ENABLED)
        bare.wait_for(space, "nginx", NGINX)
        yield bare, release, space


def test_doctor_reports_that_policies_are_not_supported(bare):
    _, found = doctored(bare.plane)
    webhook, policy = (each for each in found if each["status"] != "ok")
    assert "has no webhook and no policy" in webhook["message"]
    assert "(v1.30.14) does not serve MutatingAdmissionPolicies" in policy["message"]


def test_cluster_is_the_oldest_that_the_chart_supports(old):
    world, _, _ = old
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = world.api.get("/version")["gitVersion"]
    assert version.rpartition(".")[0] == "v1.30"
    assert chart["kubeVersion"] == ">=1.30.0-0"


def test_pods_are_rewritten(old):
    world, _, space = old
    wait = {"name": "wait", "image": "gcr.io/wait"}
    created = world.create(space, pod("nginx", initContainers=[wait], name="first"))
    assert images(created) == {"c0": NGINX, "wait": f"{MIRROR}/gcr/wait"}
    debug = ("debug", "-n", space, "pod/first", "--image=busybox", "--container=look")
    world.plane.kubectl(*debug, "--attach=false", "--", "true")
    found = world.api.get(f"/api/v1/namespaces/{space}/pods/first")
    assert images(found)["look"] == f"{MIRROR}/hub/library/busybox"


def test_match_conditions_are_supported(old):
    world, _, space = old
    counts = Counts(world.api)
    world.create(space, pod("r.example/a", name="other"))
    assert counts.calls == 0
    long = [f"docker.io/{'a' * 100}/{'b' * 100}{n}" for n in range(60)]
    created = world.create(space, pod(*long, name="long"), dryRun="All")
    assert counts.calls == 1
    assert all(each.startswith(MIRROR) for each in images(created).values())


def test_replica_may_change_only_the_ca_bundle(old):
    world, release, _ = old
    assert_only_the_ca_bundle_may_change(world, release)


def test_upgrade_with_helm_3_loses_no_pod(old):
    world, release, space = old
    with storm(world, space, NGINX):
        release.install_again(helm3(), replicas=3)

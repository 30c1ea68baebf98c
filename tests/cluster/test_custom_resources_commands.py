"""Commands and health checks on the custom resources of a real cluster."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from tests.cluster.processes import until
from tests.cluster.release import CHART, released
from tests.cluster.resources import GROUP, KINDS, remove_kinds
from tests.cluster.world import ENABLED
from tests.resources.test_guide import HEALTH, run_lua

SAMPLES = CHART.parents[1] / "manifests/samples"
NAME = "mirrorhook-objects"
IMAGES = ("nginx", "quay.io/prometheus/a:1", "quay.io/b:1", "ghcr.io/shop/c:1", "ghcr.io/d:1")
RESULTS = (
    "harbor.example.com/dockerhub/library/nginx",
    "harbor.example.com/shop/prometheus/a:1",
    "harbor.example.com/quay/b:1",
    "ghcr.io/shop/c:1",
    "harbor.example.com/ghcr/d:1",
)


@pytest.fixture(scope="module")
def shop(world):
    """The namespace of the samples, with a release that reads them."""
    values = yaml.safe_load((SAMPLES / "values.yaml").read_text())
    values["rules"] = [{"match": "ghcr.io", "mirrors": ["harbor.example.com/ghcr"]}]
    plane, name = world.plane, "shop"
    labels = ENABLED | {"team-rules": "allowed"}
    if world.api.find(f"/api/v1/namespaces/{name}"):
        world.api.patch(f"/api/v1/namespaces/{name}", {"metadata": {"labels": labels}})
    else:
        world.namespace(labels, name=name)
    try:
        with released(plane, values, name=NAME):
            for plural in KINDS:
                plane.kubectl("apply", "--server-side", "-f", str(SAMPLES / f"{plural}.yaml"))
            for image, result in zip(IMAGES, RESULTS, strict=True):
                world.wait_for(name, image, result)
            yield name
    finally:
        remove_kinds(plane)


def run(world, command, *arguments, codes=(0,)):
    done = subprocess.run(
        [sys.executable, "-m", "webhook", command, "--output", "json", *arguments],
        env=world.plane.environment,
        cwd=CHART.parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in codes, done.stderr
    return json.loads(done.stdout)


def health_of(world, path):
    """Return what Argo CD would say of an object."""
    found = world.api.get(f"{GROUP}/{path}")
    return run_lua(HEALTH[f"resource.customizations.health.mirrorhook.io_{found['kind']}"], found)


def test_explain_says_what_the_webhook_does_and_which_object_decided(world, shop):
    found = run(world, "explain", "--cluster", "--namespace", shop, *IMAGES)
    assert [each["result"] for each in found] == [*RESULTS]
    assert [world.tried(shop, image) for image in IMAGES] == [*RESULTS]
    origins = [
        [(one["kind"], one["name"], one["key"]) for one in each["origins"]] for each in found
    ]
    assert origins == [
        [("ClusterMirrorRules", "harbor", "spec.rules[0]")],
        [("MirrorRules", "rules", "spec.rules[0]")],
        [("ClusterMirrorRules", "harbor", "spec.rules[2]")],
        [("MirrorRules", "rules", "spec.rules[1]")],
        [("ConfigMap", f"{NAME}-rules", "rules[0]")],
    ]
    generation = world.api.get(f"{GROUP}/clustermirrorrules/harbor")["metadata"]["generation"]
    assert found[0]["origins"][0]["generation"] == generation
    (elsewhere,) = run(world, "explain", "--cluster", "quay.io/prometheus/a:1")
    assert elsewhere["result"] == "harbor.example.com/quay/prometheus/a:1"


def test_audit_finds_images_by_the_rules_of_their_namespaces(world, shop):
    world.image(shop, "quay.io/prometheus/a:1")
    (entry,) = run(world, "audit", "--cluster", "--namespace", shop)["images"]
    assert (entry["state"], entry["original"]) == ("mirrored", "quay.io/prometheus/a:1")


def test_objects_that_are_not_in_use_are_named_and_degraded(world, shop):
    until(lambda: health_of(world, "clustermirrorrules/harbor")[0] == "Healthy", "the status", 60)
    assert health_of(world, f"namespaces/{shop}/mirrorrules/rules")[0] == "Healthy"
    second = yaml.safe_load((SAMPLES / "clustermirrorrules.yaml").read_text())
    second["metadata"]["name"] = "second"
    world.api.post(f"{GROUP}/clustermirrorrules", second)
    other = world.namespace(ENABLED)
    team = yaml.safe_load((SAMPLES / "mirrorrules.yaml").read_text())
    team["metadata"]["namespace"] = other
    world.api.post(f"{GROUP}/namespaces/{other}/mirrorrules", team)
    try:
        for path in ("clustermirrorrules/second", f"namespaces/{other}/mirrorrules/rules"):
            until(lambda p=path: health_of(world, p)[0] == "Degraded", f"the status of {path}", 60)
        found = run(world, "doctor", codes=(1,))
        texts = [each["message"] for each in found if each["check"] == "custom resources"]
        assert "1 ClusterMirrorRules and 1 MirrorRules are in use" in texts
        assert any(
            "ClusterMirrorRules second, generation 1, is not in use (Conf" in t for t in texts
        )
        assert any(
            f"MirrorRules {other}/rules, generation 1, is not in use (Not" in t for t in texts
        )
        assert len(texts) == 3, texts
        assert not any(each["check"] == "permissions" for each in found)
    finally:
        world.api.delete(f"{GROUP}/clustermirrorrules/second")
        world.api.delete(f"{GROUP}/namespaces/{other}/mirrorrules/rules")

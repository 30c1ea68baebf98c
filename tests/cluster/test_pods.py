"""Pods that are created in different ways."""

from __future__ import annotations

import json

import pytest

from tests.cluster.api import namespaced
from tests.cluster.world import MIRROR, images, pod

DIGEST = "sha256:" + "a" * 64
SIDECAR = {"name": "sidecar", "image": "istio/proxyv2:1.27.1", "restartPolicy": "Always"}
WAIT = {"name": "wait", "image": "busybox"}
MODEL = {"name": "model", "image": {"reference": "quay.io/models/qwen:3-8b"}}

PODS = {
    "a short name": (pod("nginx"), {"c0": f"{MIRROR}/hub/library/nginx"}),
    "tag and digest": (
        pod(f"registry.k8s.io/pause:3.10@{DIGEST}"),
        {"c0": f"{MIRROR}/k8s/pause:3.10@{DIGEST}"},
    ),
    "several registries": (
        pod("gcr.io/a/b:1", "quay.io/our/app", "quay.io/other/app", "r.example/x:2"),
        {
            "c0": f"{MIRROR}/gcr/a/b:1",
            "c1": "quay.io/our/app",
            "c2": f"{MIRROR}/quay/other/app",
            "c3": "r.example/x:2",
        },
    ),
    "init containers and native sidecars": (
        pod("nginx:1.29", initContainers=[WAIT, SIDECAR]),
        {
            "wait": f"{MIRROR}/hub/library/busybox",
            "sidecar": f"{MIRROR}/hub/istio/proxyv2:1.27.1",
            "c0": f"{MIRROR}/hub/library/nginx:1.29",
        },
    ),
    "an image volume": (
        pod("quay.io/our/app", volumes=[MODEL]),
        {"c0": "quay.io/our/app", "volume:model": f"{MIRROR}/quay/models/qwen:3-8b"},
    ),
    "an image at the mirror": (pod(f"{MIRROR}/hub/x"), {"c0": f"{MIRROR}/hub/x"}),
    "an image of the node": (
        pod("nginx", initContainers=[{**WAIT, "imagePullPolicy": "Never"}]),
        {"wait": "busybox", "c0": f"{MIRROR}/hub/library/nginx"},
    ),
}


@pytest.mark.parametrize("case", PODS)
def test_pod_is_created_with_images_of_the_mirrors(world, release, space, case):
    given, expected = PODS[case]
    given = given | {"metadata": {"name": case.replace(" ", "-")}}
    assert images(world.create(space, given)) == expected


def test_pod_with_a_generated_name_is_rewritten(world, release, space):
    given = pod("nginx") | {"metadata": {"generateName": "web-"}}
    created = world.create(space, given)
    assert created["metadata"]["name"].startswith("web-")
    assert images(created) == {"c0": f"{MIRROR}/hub/library/nginx"}


def test_dry_run_shows_the_rewritten_images(world, release, space):
    assert world.tried(space, "nginx") == f"{MIRROR}/hub/library/nginx"
    assert world.api.get(namespaced("pods", space))["items"] == []


def test_server_side_apply_of_a_pod_causes_no_conflict(world, release, space):
    path = namespaced("pods", space, "applied")
    given = pod("nginx:1", name="applied")
    for _ in range(2):
        applied = world.api.patch(path, given, "apply", fieldManager="somebody")
        assert images(applied) == {"c0": f"{MIRROR}/hub/library/nginx:1"}


def test_annotation_records_the_original_images(world, release, space):
    created = world.create(space, pod("nginx", "r.example/x", volumes=[MODEL]))
    annotation = created["metadata"]["annotations"]["mirrorhook.io/original-images"]
    assert json.loads(annotation) == {
        "c0": "nginx",
        "volume:model": "quay.io/models/qwen:3-8b",
    }


def test_kubectl_shows_the_warning_for_an_invalid_image(world, release, space):
    output = world.plane.kubectl("create", "-n", space, "-f", "-", given=pod("Nginx:1", "nginx"))
    assert "Warning: mirrorhook: image of c0 unchanged, invalid: 'Nginx:1'" in output
    created = world.api.get(namespaced("pods", space, "web"))
    assert images(created) == {"c0": "Nginx:1", "c1": f"{MIRROR}/hub/library/nginx"}


def test_audit_log_contains_the_decisions(world, release, space):
    world.create(space, pod("nginx", name="audited"))
    (event,) = world.plane.audited("audited")
    found = [
        value
        for key, value in event["annotations"].items()
        if key.startswith("default.mirrorhook.io/")
    ]
    assert any(f"rule docker.io → {MIRROR}/hub" in value for value in found), event


def test_all_images_of_a_large_pod_are_rewritten(world, release, space):
    many = [f"gcr.io/{'team/' * 20}app-{n}:1.{n}@{DIGEST}" for n in range(80)]
    created = world.create(space, pod(*many))
    assert set(images(created).values()) == {
        image.replace("gcr.io", f"{MIRROR}/gcr") for image in many
    }


@pytest.mark.parametrize("place", ["labels", "annotations"])
def test_pod_that_opts_out_is_unchanged(world, release, space, place):
    given = pod("nginx")
    given["metadata"][place] = {"mirrorhook.io/rewrite": "disabled"}
    assert images(world.create(space, given)) == {"c0": "nginx"}


def test_mirror_pod_is_unchanged(world, release, space):
    world.api.post("/api/v1/nodes", {"metadata": {"name": "static"}})
    given = pod("nginx", nodeName="static", automountServiceAccountToken=False)
    given["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "0123"}
    assert images(world.create(space, given)) == {"c0": "nginx"}
    world.api.delete("/api/v1/nodes/static")

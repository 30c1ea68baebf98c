"""Which images are in use, read from manifests and from an API server on loopback."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.listing_api import APPS, BATCH, metadata, pod, pod_spec, workload
from webhook.cli.images_in_use import ImageOwner, read_cluster_images, read_manifest_images
from webhook.cli.options import open_cluster
from webhook.kube import ClusterError, ForbiddenError

ORIGINALS = "mirrorhook.io/original-images"


def brief(images):
    return [(*each.owner, each.pod, each.image) for each in images]


def test_cluster_has_workloads_scaled_to_zero(api):
    api.collections = {
        f"{APPS}/deployments": [workload("web", "web:2", replicas=0)],
        f"{APPS}/statefulsets": [workload("db", "db:1", replicas=0)],
        f"{APPS}/daemonsets": [workload("agent", "agent:1")],
        f"{APPS}/replicasets": [workload("alone", "alone:1", replicas=0)],
        f"{BATCH}/jobs": [workload("once", "once:1", suspend=True)],
        f"{BATCH}/cronjobs": [
            {
                "metadata": metadata("nightly"),
                "spec": {"jobTemplate": {"spec": {"template": pod_spec("nightly:1")}}},
            }
        ],
    }
    assert set(brief(api.read())) == {
        ("Deployment", "shop", "web", "", "web:2"),
        ("StatefulSet", "shop", "db", "", "db:1"),
        ("DaemonSet", "shop", "agent", "", "agent:1"),
        ("ReplicaSet", "shop", "alone", "", "alone:1"),
        ("Job", "shop", "once", "", "once:1"),
        ("CronJob", "shop", "nightly", "", "nightly:1"),
    }


def test_owner_of_a_pod_is_the_workload_that_one_edits(api):
    api.collections = {
        f"{APPS}/deployments": [workload("web", "web:2")],
        f"{APPS}/replicasets": [
            workload("web-old", "web:1", replicas=0, owner=("Deployment", "web")),
            workload("web-new", "web:2", owner=("Deployment", "web")),
            workload("canary-1", "canary:1", owner=("Rollout", "canary")),
        ],
        f"{BATCH}/jobs": [workload("nightly-1", "nightly:1", owner=("CronJob", "nightly"))],
        "/api/v1/pods": [
            pod("web-new-a", "web:2", ("ReplicaSet", "web-new")),
            pod("canary-1-a", "canary:1", ("ReplicaSet", "canary-1")),
            pod("nightly-1-a", "nightly:1", ("Job", "nightly-1")),
            pod("runner", "runner:1", ("Runner", "ci")),
            pod("single", "single:1"),
        ],
    }
    assert brief(api.read()) == [
        ("Rollout", "shop", "canary", "", "canary:1"),
        ("Deployment", "shop", "web", "", "web:2"),
        ("Deployment", "shop", "web", "web-new-a", "web:2"),
        ("Rollout", "shop", "canary", "canary-1-a", "canary:1"),
        ("CronJob", "shop", "nightly", "nightly-1-a", "nightly:1"),
        ("Runner", "shop", "ci", "runner", "runner:1"),
        ("Pod", "shop", "single", "single", "single:1"),
    ]


def test_images_have_all_that_the_webhook_looks_at(api):
    spec = {
        "containers": [
            {"name": "main", "image": "harbor.example.com/hub/a:1", "imagePullPolicy": "Always"}
        ],
        "initContainers": [{"name": "init", "image": "b:1"}],
        "volumes": [{"name": "data", "image": {"reference": "c:1", "pullPolicy": "Never"}}],
    }
    noted = {ORIGINALS: json.dumps({"main": "a:1"})}
    labels = {"app": "a", "mirrorhook.io/rewrite": "disabled"}
    about = metadata("one", annotations=noted, labels=labels)
    api.collections = {"/api/v1/pods": [{"metadata": about, "spec": spec}]}
    main, init, volume = api.read()
    assert main.owner == ImageOwner("Pod", "shop", "one")
    assert (main.image, main.original) == ("harbor.example.com/hub/a:1", "a:1")
    assert (main.container, main.pull_policy, main.pod) == ("main", "Always", "one")
    assert (init.container, init.image, init.original) == ("init", "b:1", "b:1")
    assert (volume.container, volume.image, volume.pull_policy) == ("volume:data", "c:1", "Never")
    assert main.labels == labels
    assert main.opt_out == "its label mirrorhook.io/rewrite is disabled"
    assert main.source == ""


def test_one_namespace_is_read_alone(api):
    api.collections = {"/api/v1/namespaces/shop/pods": [pod("a", "a:1")]}
    assert brief(api.read("shop")) == [("Pod", "shop", "a", "a", "a:1")]
    assert all("/namespaces/shop/" in path for path in api.requests)


def test_missing_permission_is_an_error_that_names_the_collection(api):
    api.forbidden = f"{BATCH}/cronjobs"
    with pytest.raises(ForbiddenError, match="cronjobs: you may not list them"):
        api.read()


def test_context_selects_the_cluster(api):
    assert [*read_cluster_images(open_cluster(api.kubeconfig, "here"))] == []
    with pytest.raises(ClusterError, match="refused"):
        [*read_cluster_images(open_cluster(api.kubeconfig, "gone"))]
    with pytest.raises(ClusterError, match="nowhere"):
        open_cluster(api.kubeconfig, "nowhere")


def test_pod_without_a_kubeconfig_uses_its_service_account(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ClusterError, match=r"\.kube/config"):
        open_cluster(None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(ClusterError, match="this Pod's service account"):
        open_cluster(None)


# VmHWM, since ru_maxrss is never less than the memory of the process that forked.
MEASURE = """
import sys, time
from pathlib import Path
from webhook.cli.images_in_use import read_cluster_images
from webhook.cli.options import open_cluster
images = [*read_cluster_images(open_cluster(Path(sys.argv[1])))]
used = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")]
print(len(images), time.process_time(), int(used[0]) // 1024)
"""


def test_ten_thousand_pods_take_10_s_and_300_mb_at_most(api):
    fields = {f"f:field{n}": {"f:value": {}, ".": {}} for n in range(150)}
    managed = [{"manager": "kubelet", "operation": "Update", "fieldsV1": fields}]
    api.collections = {
        f"{APPS}/replicasets": [
            workload(f"web{n}", "web:1", owner=("Deployment", f"web{n}")) for n in range(1000)
        ],
        "/api/v1/pods": [
            pod(f"web{n}", "web:1", ("ReplicaSet", f"web{n // 10}"), managedFields=managed)
            for n in range(10_000)
        ],
    }
    command = [sys.executable, "-c", MEASURE, api.kubeconfig]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    count, seconds, megabytes = done.stdout.split()
    assert int(count) == 10_000
    assert sum("/pods?" in path for path in api.requests) == 20
    assert float(seconds) < 10
    assert int(megabytes) < 300


MANIFESTS = b"""\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 0
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: nginx:1, imagePullPolicy: Never}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {
  containers: [{name: main, image: "job:1"}],
  volumes: [{name: data, image: {reference: "data:1"}}]}}}}}
---
{broken
---
apiVersion: v1
kind: List
items:
- {kind: Pod, metadata: {name: one}, spec: {containers: [{name: a, image: pod:1}]}}
- {kind: ConfigMap, metadata: {name: image}, data: {image: "no:1"}}
---
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
spec: {template: {spec: {containers: [{name: a, image: other:1}]}}}
"""


def test_manifests_have_owners_and_report_what_cannot_be_read(tmp_path):
    (tmp_path / "all.yaml").write_bytes(MANIFESTS)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xff\xff")
    problems = []
    images = [*read_manifest_images((tmp_path,), problems.append)]
    assert brief(images) == [
        ("Deployment", "shop", "web", "", "nginx:1"),
        ("CronJob", "", "nightly", "", "job:1"),
        ("CronJob", "", "nightly", "", "data:1"),
        ("Pod", "", "one", "one", "pod:1"),
    ]
    assert images[0].labels == {"app": "web"}
    assert images[0].pull_policy == "Never"
    assert {each.source for each in images} == {str(tmp_path / "all.yaml")}
    first, second = problems
    assert first.startswith(f"{tmp_path}/all.yaml:18: ")
    assert second.startswith(f"{tmp_path}/binary.yaml:1: byte 0xff is not UTF-8")

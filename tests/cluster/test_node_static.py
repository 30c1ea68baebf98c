"""Static Pods, which no webhook sees: containerd has the rules, by `mirrorhook render`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.cluster.api import namespaced
from tests.cluster.deployment import HOSTS, running
from tests.cluster.node import REGISTRY
from tests.cluster.processes import until
from tests.cluster.release import ROOT
from tests.cluster.world import pod

# Manifests like those of kubeadm. What they run does not matter here.
IMAGES = {
    "kube-apiserver": "registry.k8s.io/kube-apiserver:v1.37.2",
    "etcd": "registry.k8s.io/etcd:3.6.5-0",
}
NODE_RULES = [{"match": host, "mirrors": [f"{REGISTRY}/{path}"]} for host, path in HOSTS.items()]


@pytest.fixture(scope="module")
def rendered(node):
    """A node whose containerd uses the rendered rules."""
    rules = node.folder / "node-rules.yaml"
    rules.write_text(json.dumps({"rules": NODE_RULES}))
    command = (
        "render",
        "containerd",
        "--config",
        rules,
        "--output-dir",
        node.folder / "made",
    )
    subprocess.run([sys.executable, "-m", "webhook", *command], cwd=ROOT, check=True)
    made = [*(node.folder / "made/certs.d").iterdir()]
    for host in made:
        # The registry of the test uses plain HTTP, which rules cannot express.
        text = (host / "hosts.toml").read_text().replace("https://127.", "http://127.")
        (node.folder / "certs.d" / host.name).mkdir()
        (node.folder / "certs.d" / host.name / "hosts.toml").write_text(text)
    yield node
    for host in made:
        shutil.rmtree(node.folder / "certs.d" / host.name)


@pytest.mark.parametrize("name", IMAGES)
def test_static_pod_is_pulled_from_the_mirror(rendered, node_world, name):
    image = IMAGES[name]
    rendered.push(image.replace("registry.k8s.io", "k8s"))
    given = pod(image, name=name, hostNetwork=True)
    given["metadata"]["namespace"] = "kube-system"
    manifest = rendered.folder / "static" / f"{name}.json"
    manifest.write_text(json.dumps(given))
    path = namespaced("pods", "kube-system", f"{name}-node-1")
    until(lambda: node_world.api.find(path), "the Pod of the kubelet")
    found = running(node_world, "kube-system", f"{name}-node-1")
    assert found["spec"]["containers"][0]["image"] == image
    assert any(each.startswith(f"k8s/{name}:") for each in rendered.pulled())
    manifest.unlink()
    until(lambda: not node_world.api.find(path), "its end")

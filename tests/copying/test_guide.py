"""Run every command of docs/copy.md, with real engines between real registries."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.listing_api import Api, pod
from tests.copying.conftest import program
from tests.copying.world import manifest_at
from tests.tools.registry import push_image, push_index
from webhook.cli.copy_plan import CopyStatus

PAGE = (Path(__file__).parents[2] / "docs/copy.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
# Docker Hub and registry.k8s.io moved to the registry that plays upstream.
RULES = """\
rules:
  - {{match: docker.io, mirrors: ["{upstream}/hub"]}}
  - {{match: registry.k8s.io, mirrors: ["{upstream}/k8s"]}}
  - {{match: "{upstream}", mirrors: ["{mirror}/guide"]}}
availability: {{mode: check, plainHTTP: ["{upstream}", "{mirror}"]}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, upstream, mirror):
    folder = tmp_path_factory.mktemp("guide")
    push_index(upstream, "hub/library/nginx:1.27", ("amd64", "arm64"))
    push_image(upstream, "k8s/pause:3.10", content="pause")
    (folder / "rules.yaml").write_text(RULES.format(upstream=upstream, mirror=mirror))
    (folder / "deploy").mkdir()
    spec = {"containers": [{"name": "web", "image": "nginx:1.27"}]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
    (folder / "deploy/pod.json").write_text(json.dumps(manifest))
    (folder / "bin").mkdir()
    for name in ("regctl", "skopeo", "crane", "regsync"):
        (folder / "bin" / name).symlink_to(program(name))
    scripts = {
        "kubeadm": "echo registry.k8s.io/pause:3.10",
        "mirrorhook": f'exec {sys.executable} -m webhook "$@"',
    }
    for name, line in scripts.items():
        path = folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    api = Api(folder)
    kubeconfig = json.loads(api.kubeconfig.read_text())
    kubeconfig["contexts"].append({**kubeconfig["contexts"][0], "name": "prod"})
    api.kubeconfig.write_text(json.dumps(kubeconfig))
    pods = [pod("web", "nginx:1.27"), pod("pause", "registry.k8s.io/pause:3.10")]
    api.collections = dict.fromkeys(("/api/v1/pods", "/api/v1/namespaces/shop/pods"), pods)
    yield folder
    api.close()


def run(folder, command):
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={
            "PATH": f"{folder}/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "KUBECONFIG": str(folder / "kubeconfig"),
            "PYTHONPATH": os.environ.get("PYTHONPATH") or str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_command_of_the_guide_succeeds_in_order(folder, mirror):
    assert len(COMMANDS) > 12
    for command in COMMANDS:
        done = run(folder, command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        if "copy.sh" in command:
            script = run(folder, "sh copy.sh")
            assert script.returncode == 0, (command, script.stderr)
    assert manifest_at(mirror, "guide/hub/library/nginx", "1.27")[1]
    assert manifest_at(mirror, "guide/k8s/pause", "3.10")[1]


def test_guide_has_every_key_and_status_of_the_results():
    for status in set(CopyStatus) - {CopyStatus.PLANNED}:
        assert f"`{status}`" in PAGE

"""
The guides for kubeadm and GitOps: their commands run as they stand there.

kubeadm and kustomize are stood in for by scripts that write what those would.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DOCS = Path(__file__).resolve().parents[2] / "docs"
TYPED = re.compile(r"^\$ (.*)$", re.MULTILINE)
COMMANDS = [
    (name, command)
    for name in ("kubeadm.md", "gitops.md")
    for command in TYPED.findall((DOCS / name).read_text(encoding="utf-8"))
]
RULES = """\
rules:
  - {match: registry.k8s.io, mirrors: [harbor.example.com/k8s]}
  - {match: docker.io, mirrors: [harbor.example.com/hub]}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: "IMAGE"}]}
"""
MIRRORED = "harbor.example.com/hub/library/nginx:1.27"
KUBEADM = """\
#!/bin/sh
case "$1" in
  config) echo registry.k8s.io/kube-apiserver:v1.37.2; echo registry.k8s.io/pause:3.10;;
  init) grep -q 'imageRepository: "harbor.example.com/k8s"' "$3";;
esac
"""
CTR = '#!/bin/sh\necho "$@" >> calls\n'


@pytest.fixture
def folder(tmp_path):
    """
    A folder as the guides take it for granted.
    """
    (tmp_path / "bin").mkdir()
    for name, text in {
        "kubeadm": KUBEADM,
        "kustomize": '#!/bin/sh\ncat "${2:-.}"/pod.yaml\n',
        "ctr": CTR,
        "crictl": CTR,
    }.items():
        path = tmp_path / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
    for name in ("overlay", "etc/kubernetes/manifests"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "pod.yaml").write_text(POD.replace("IMAGE", "nginx:1.27"))
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "kubeadm.yaml").write_text('imageRepository: "harbor.example.com/k8s"\n')
    (tmp_path / "all.yaml").write_text(POD.replace("IMAGE", MIRRORED))
    return tmp_path


def typed(command, folder, **environment):
    """
    Run a command in a folder, with its paths below /etc below the folder instead.
    """
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace(" /etc", f" {folder}/etc")],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_every_command_of_a_guide_does_its_work(folder, page, command):
    done = typed(command, folder)
    assert done.returncode == 0, (page, done.stderr)


def test_kubeadm_gets_repositories_that_it_takes(folder):
    render, init = [c for p, c in COMMANDS if p == "kubeadm.md"][:2]
    (folder / "kubeadm.yaml").unlink()
    done = typed(f"{render} && {init}", folder)
    assert done.returncode == 0, done.stderr


def test_static_pods_are_rewritten_in_their_files(folder):
    (command,) = [c for _, c in COMMANDS if "/etc/kubernetes" in c]
    typed(command, folder)
    assert MIRRORED in (folder / "etc/kubernetes/manifests/pod.yaml").read_text()


def test_the_plugin_of_argo_cd_rewrites_what_kustomize_builds(folder):
    page = (DOCS / "gitops.md").read_text(encoding="utf-8")
    plugin = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    generate = plugin["spec"]["generate"]
    assert generate["command"] == ["bash", "-c"]
    (line,) = generate["args"]
    config = str(folder / "rules.yaml")
    done = typed(f"cd overlay; {line}", folder, MIRRORHOOK_CONFIG=config)
    assert (done.returncode, MIRRORED in done.stdout) == (0, True)
    assert typed(f"cd bin; {line}", folder, MIRRORHOOK_CONFIG=config).returncode != 0


def test_the_check_fails_where_something_would_change(folder):
    (command,) = [c for _, c in COMMANDS if "--diff" in c]
    (folder / "all.yaml").write_text(POD.replace("IMAGE", "nginx:1.27"))
    assert typed(command, folder).returncode == 1

"""Run the commands of the guides for kubeadm and GitOps.

Scripts replace kubeadm and kustomize, and write what those would write. The real programs
have to be built with Go; tests/cluster/test_guides.py runs them.
"""

from __future__ import annotations

import pytest

from tests.cli.guides import COMMANDS, MIRRORED, POD, argo_cd, furnish, typed

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
    kustomize = '#!/bin/sh\ncat "${2:-.}"/pod.yaml\n'
    programs = {"kubeadm": KUBEADM, "kustomize": kustomize, "ctr": CTR, "crictl": CTR}
    return furnish(tmp_path, programs)


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_every_command_of_the_guides_succeeds(folder, page, command):
    done = typed(command, folder)
    assert done.returncode == 0, (page, done.stderr)


def test_kubeadm_accepts_the_rendered_repositories(folder):
    render, _, init = [c for p, c in COMMANDS if p == "kubeadm.md"][:3]
    (folder / "kubeadm.yaml").unlink()
    done = typed(f"{render} && {init}", folder)
    assert done.returncode == 0, done.stderr


def test_guide_command_rewrites_static_pods_in_place(folder):
    (command,) = [c for _, c in COMMANDS if "/etc/kubernetes" in c]
    typed(command, folder)
    assert MIRRORED in (folder / "etc/kubernetes/manifests/pod.yaml").read_text()


def test_argo_cd_plugin_rewrites_the_output_of_kustomize(folder):
    generate = argo_cd()["spec"]["generate"]
    assert generate["command"] == ["bash", "-c"]
    (line,) = generate["args"]
    config = str(folder / "rules.yaml")
    done = typed(f"cd overlay; {line}", folder, MIRRORHOOK_CONFIG=config)
    assert (done.returncode, MIRRORED in done.stdout) == (0, True)
    assert typed(f"cd bin; {line}", folder, MIRRORHOOK_CONFIG=config).returncode != 0


def test_guide_check_fails_if_something_would_change(folder):
    (command,) = [c for _, c in COMMANDS if "--diff" in c]
    (folder / "all.yaml").write_text(POD.replace("IMAGE", "nginx:1.27"))
    assert typed(command, folder).returncode == 1

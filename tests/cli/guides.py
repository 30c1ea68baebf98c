"""The commands of the guides for kubeadm and GitOps, and a folder that they can run in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

__all__ = ["COMMANDS", "DOCS", "MIRRORED", "POD", "argo_cd", "furnish", "typed"]

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


def furnish(folder: Path, programs: dict[str, str | Path]) -> Path:
    """Fill a folder with what the guides expect.

    Args:
        folder: Where.
        programs: The programs that they call, as scripts, or as paths of real ones.
    """
    (folder / "bin").mkdir()
    for name, program in programs.items():
        path = folder / "bin" / name
        if isinstance(program, Path):
            path.symlink_to(program)
        else:
            path.write_text(program)
            path.chmod(0o755)
    for name in ("overlay", "etc/kubernetes/manifests"):
        (folder / name).mkdir(parents=True)
        (folder / name / "pod.yaml").write_text(POD.replace("IMAGE", "nginx:1.27"))
    (folder / "overlay/kustomization.yaml").write_text("resources: [pod.yaml]\n")
    (folder / "rules.yaml").write_text(RULES)
    (folder / "kubeadm.yaml").write_text('imageRepository: "harbor.example.com/k8s"\n')
    (folder / "all.yaml").write_text(POD.replace("IMAGE", MIRRORED))
    return folder


def typed(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with /etc replaced by a folder below it."""
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


def argo_cd() -> dict[str, Any]:
    """Return the plugin of Argo CD in the guide."""
    page = (DOCS / "gitops.md").read_text(encoding="utf-8")
    return yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])

"""Helm releases with `mirrorhook rewrite` as post-renderer, by the commands of the guide."""

from __future__ import annotations

import re

import pytest

from tests.cli.guides import DOCS, MIRRORED, furnish, typed
from tests.cluster.api import namespaced
from tests.cluster.release import ROOT
from tests.tools.helm import helm3, helm4

COMMAND = re.compile(r"^\$ (helm (?:.*\\\n)*.*)$", re.MULTILINE)
HELM_3, PLUGIN, HELM_4 = COMMAND.findall((DOCS / "rewrite.md").read_text(encoding="utf-8"))
TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: {{ .Values.image }}}]
"""


@pytest.mark.parametrize(
    ("find", "commands"),
    [(helm3, [HELM_3]), (helm4, [PLUGIN, HELM_4])],
    ids=["helm 3", "helm 4"],
)
def test_installed_objects_are_rewritten(world, tmp_path, find, commands):
    folder = furnish(tmp_path, {"helm": find()})
    (folder / "manifests").symlink_to(ROOT / "manifests")
    (folder / "chart/templates").mkdir(parents=True)
    (folder / "chart/Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    (folder / "chart/values.yaml").write_text("image: nginx:1.27\n")
    (folder / "chart/templates/web.yaml").write_text(TEMPLATE)
    space = world.namespace()
    environment = {
        "KUBECONFIG": str(world.plane.kubeconfig),
        "HELM_NAMESPACE": space,
        "HELM_DATA_HOME": str(folder / "data"),
        "HELM_CACHE_HOME": str(folder / "cache"),
    }
    for command in commands:
        done = typed(command, folder, **environment)
        assert done.returncode == 0, done.stderr
    found = world.api.get(namespaced("apps/v1/deployments", space, "web"))
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert container["image"] == MIRRORED

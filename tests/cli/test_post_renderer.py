"""`mirrorhook rewrite` as the post-renderer of real Helm 3 and Helm 4."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.tools.helm import HelmMissingError, helm3, helm4

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  template:
    spec:
      containers:
        - name: web
          image: "{{ .Values.image }}" # kept
"""


@pytest.fixture
def chart(tmp_path):
    """A small chart and rules."""
    (tmp_path / "chart/templates").mkdir(parents=True)
    (tmp_path / "chart/Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    (tmp_path / "chart/values.yaml").write_text("image: nginx:1.27\n")
    (tmp_path / "chart/templates/web.yaml").write_text(TEMPLATE)
    (tmp_path / "rules").write_text("rules: [{match: docker.io, mirrors: [m.example/hub]}]\n")
    return tmp_path / "chart"


def program(find):
    try:
        return find()
    except HelmMissingError as error:
        pytest.skip(str(error))


def rendered(helm, chart, *options, **environment):
    """Return how Helm renders the chart, with mirrorhook on the PATH."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [helm, "template", "web", chart, "--post-renderer", "mirrorhook", *options],
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def arguments(*each):
    return [f"--post-renderer-args={argument}" for argument in each]


def test_helm_3_uses_rewrite_as_post_renderer(chart):
    config = f"--config={chart.parent / 'rules'}"
    done = rendered(program(helm3), chart, *arguments("rewrite", config))
    assert done.returncode == 0, done.stderr
    assert 'image: "m.example/hub/library/nginx:1.27" # kept' in done.stdout


def test_helm_4_uses_the_post_renderer_plugin(chart):
    config = f"--config={chart.parent / 'rules'}"
    plugins = {"HELM_PLUGINS": str(ROOT / "manifests")}
    done = rendered(program(helm4), chart, *arguments(config), **plugins)
    assert done.returncode == 0, done.stderr
    (deployment,) = [each for each in yaml.safe_load_all(done.stdout) if each]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "m.example/hub/library/nginx:1.27"


def test_post_renderer_stops_the_release_on_an_invalid_image(chart):
    (chart / "values.yaml").write_text("image: Not Good\n")
    config = {"MIRRORHOOK_CONFIG": str(chart.parent / "rules")}
    done = rendered(program(helm3), chart, *arguments("rewrite"), **config)
    assert done.returncode != 0
    assert "'Not Good' is unchanged: it contains white space" in done.stderr

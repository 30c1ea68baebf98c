"""Plain manifests for clusters without Helm, rendered from the chart."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.tools.helm import helm4

CHART = Path(__file__).resolve().parents[2] / "charts/mirrorhook"
NAMESPACE = "mirrorhook"

# Helm's own comments and labels do not apply to manifests that Helm does not manage.
HELM_MARKS = re.compile(
    r"^ +(?:helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n|^# Source: .*\n",
    re.MULTILINE,
)

HEADER = """\
# {title}
#
# Generated from charts/mirrorhook by `make generate`. Edit the chart, not this file.
# Add your rules to the ConfigMap {namespace}-rules below. Then run:
#
#   kubectl apply --filename {file}
#   kubectl label namespace NAME mirrorhook.io/rewrite=enabled
---
apiVersion: v1
kind: Namespace
metadata:
  name: {namespace}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def generate_self_managed(chart: Path = CHART) -> str:
    """Return the manifest with self-managed certificates."""
    title = "mirrorhook with self-managed certificates."
    return _render(chart, "install.yaml", title, "self")


def generate_cert_manager(chart: Path = CHART) -> str:
    """Return the manifest with a certificate of cert-manager."""
    title = "mirrorhook with a certificate of cert-manager, which must be installed."
    return _render(chart, "install-cert-manager.yaml", title, "cert-manager")


def _render(chart: Path, file: str, title: str, certificates: str) -> str:
    command = [
        helm4(),
        "template",
        "mirrorhook",
        chart,
        f"--namespace={NAMESPACE}",
        f"--set=certificates.mode={certificates}",
        "--no-hooks",
    ]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
    objects = re.sub(r"\n\n+---", "\n---", HELM_MARKS.sub("", done.stdout)).rstrip()
    header = HEADER.format(title=title, file=f"manifests/{file}", namespace=NAMESPACE)
    return f"{header}{objects}\n"

"""Plain manifests for clusters without Helm, rendered from the chart."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.tools.helm import helm4

CHART = Path(__file__).resolve().parents[2] / "charts/mirrorhook"
NAMESPACE = "mirrorhook"

# Helm's own marks: what is applied by other means is not managed by it.
MARKS = re.compile(
    r"^ +(?:helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n|^# Source: .*\n",
    re.MULTILINE,
)

HEADER = """\
# {title}
#
# Rendered from charts/mirrorhook by `make generate`: edit the chart, not this file.
# Write your rules into the ConfigMap {namespace}-rules below. Then:
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


def self_managed() -> str:
    """Return the manifest with certificates that mirrorhook itself looks after."""
    title = "mirrorhook, with certificates that look after themselves."
    return _manifest("install.yaml", title, "self")


def cert_manager() -> str:
    """Return the manifest with certificates of cert-manager."""
    title = "mirrorhook, with a certificate of cert-manager, which has to be there."
    return _manifest("install-cert-manager.yaml", title, "cert-manager")


def _manifest(file: str, title: str, certificates: str) -> str:
    command = [
        helm4(),
        "template",
        "mirrorhook",
        CHART,
        f"--namespace={NAMESPACE}",
        f"--set=certificates.mode={certificates}",
        "--no-hooks",
    ]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
    objects = re.sub(r"\n\n+---", "\n---", MARKS.sub("", done.stdout)).rstrip()
    header = HEADER.format(title=title, file=f"manifests/{file}", namespace=NAMESPACE)
    return f"{header}{objects}\n"

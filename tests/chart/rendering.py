"""Renders the chart with real Helm."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.tools.helm import helm3, helm4

CHART = Path(__file__).resolve().parents[2] / "charts/mirrorhook"
DEFAULTS = yaml.load((CHART / "values.yaml").read_text(), Loader=yaml.CSafeLoader)
CI_VALUES = sorted(CHART.glob("ci/*-values.yaml"))
WEBHOOK_VALUES = [path for path in CI_VALUES if path.stem != "api-server-policy-values"]
HELM_VERSIONS = ("3.17", "4.3")
# The oldest and newest supported versions of Kubernetes.
KUBERNETES_VERSIONS = ("1.30", "1.37")

# Garbage collection takes a third of a run of Helm, which ends soon anyway.
ENVIRONMENT = {**os.environ, "GOGC": "off"}

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The objects that Helm rendered."""

    objects: tuple[Object, ...]

    def of_kind(self, kind: str) -> list[Object]:
        return [item for item in self.objects if item["kind"] == kind]

    def one(self, kind: str) -> Object:
        (found,) = self.of_kind(kind)
        return found

    @property
    def webhooks(self) -> dict[str, Object]:
        webhooks = self.one("MutatingWebhookConfiguration")["webhooks"]
        return {webhook["name"]: webhook for webhook in webhooks}

    @property
    def pod_specs(self) -> list[Object]:
        return [
            self.one("Deployment")["spec"]["template"]["spec"],
            self.one("Pod")["spec"],
        ]


def run_helm(
    *arguments: str | Path, version: str = "4.3", values: object = None
) -> subprocess.CompletedProcess[str]:
    """Run Helm, with *values* as an additional values file on standard input."""
    command = [helm3() if version == "3.17" else helm4(), *arguments]
    given = None
    if values is not None:
        command += ["--values", "-"]
        given = json.dumps(values)
    return subprocess.run(
        command,
        input=given,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env=ENVIRONMENT,
    )


def render(
    values: object = None,
    *,
    file: Path | None = None,
    release: str = "mirrorhook",
    namespace: str = "mirrorhook",
    helm: str = "4.3",
    kubernetes: str = "1.37",
) -> Rendered:
    """Render the chart with *values* or a values file. The result is cached."""
    text = None if values is None else json.dumps(values)
    return Rendered(_objects(text, file, release, namespace, helm, kubernetes))


@cache
def _objects(
    values: str | None,
    file: Path | None,
    release: str,
    namespace: str,
    helm: str,
    kubernetes: str,
) -> tuple[Object, ...]:
    arguments: list[str | Path] = ["template", release, CHART, "--namespace", namespace]
    arguments += ["--kube-version", f"{kubernetes}.0"]
    if file is not None:
        arguments += ["--values", file]
    done = run_helm(
        *arguments,
        version=helm,
        values=None if values is None else json.loads(values),
    )
    assert done.returncode == 0, done.stderr
    return tuple(item for item in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if item)


def refusal(values: object, *, namespace: str = "mirrorhook", helm: str = "4.3") -> str:
    """Return the error message of Helm when it refuses *values*."""
    done = run_helm(
        "template",
        "mirrorhook",
        CHART,
        "--namespace",
        namespace,
        version=helm,
        values=values,
    )
    assert done.returncode != 0, f"not refused: {values}"
    return done.stderr

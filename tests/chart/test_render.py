"""Every values file in ci/, with both Helm versions, for the oldest and newest Kubernetes."""

from __future__ import annotations

import json
import re
from functools import cache

import kubernetes_validate
import pytest

from tests.chart.rendering import (
    CHART,
    CI_VALUES,
    HELM_VERSIONS,
    KUBERNETES_VERSIONS,
    render,
    run_helm,
)

# Groups of custom resources, which Kubernetes has no schema for.
CUSTOM_GROUPS = (
    "autoscaling.k8s.io/",
    "cert-manager.io/",
    "cilium.io/",
    "monitoring.coreos.com/",
)

FIRST_WITH_POLICIES = "1.36"

TEMPLATES = sorted(path for path in CHART.rglob("templates/**/*") if path.is_file())
# Functions that make a template render differently elsewhere or the next time.
NONDETERMINISTIC = {
    "lookup",
    "uuidv4",
    "now",
    "htpasswd",
    "bcrypt",
    ".Capabilities",
    "getHostByName",
}

every_shape = pytest.mark.parametrize(
    "values", CI_VALUES, ids=lambda path: path.name.removesuffix("-values.yaml")
)
every_kubernetes = pytest.mark.parametrize("kubernetes", KUBERNETES_VERSIONS)


@pytest.fixture(autouse=True)
def schemas(monkeypatch):
    """The schemas of Kubernetes, each read only once."""
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", read_once)


read_once = cache(kubernetes_validate.utils.schema_contents)


@cache
def is_valid(document: str, version: str) -> bool:
    kubernetes_validate.validate(json.loads(document), version, strict=True)
    return True


# One file is enough for the older Helm: another test shows that it renders the same.
@pytest.mark.parametrize(
    ("values", "helm"),
    [(CI_VALUES[0], HELM_VERSIONS[0]), *((path, HELM_VERSIONS[1]) for path in CI_VALUES)],
    ids=lambda each: getattr(each, "stem", each),
)
def test_helm_lint_reports_nothing(values, helm):
    done = run_helm("lint", CHART, "--strict", "--values", values, version=helm)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[" not in done.stdout


@every_shape
def test_chart_renders_the_same_objects_with_both_helm_versions(values):
    old, new = (
        render(file=values, helm=helm, kubernetes=kubernetes)
        for helm, kubernetes in zip(HELM_VERSIONS, KUBERNETES_VERSIONS, strict=True)
    )

    def in_order(rendered):
        return sorted(map(json.dumps, rendered.objects))

    # Nothing depends on the version of Kubernetes, on time or on chance either.
    assert in_order(old) == in_order(new)


@every_shape
@every_kubernetes
def test_objects_conform_to_the_schema_of_kubernetes(values, kubernetes):
    rendered = render(file=values)
    builtin = [
        item for item in rendered.objects if not item["apiVersion"].startswith(CUSTOM_GROUPS)
    ]
    assert len(builtin) >= 3
    for item in builtin:
        policy = item["kind"].startswith("MutatingAdmissionPolicy")
        version = max(kubernetes, FIRST_WITH_POLICIES) if policy else kubernetes
        assert is_valid(json.dumps(item), version)


@pytest.mark.parametrize("minor", range(30, 38))
def test_defaults_conform_to_the_schema_of_every_supported_kubernetes(minor):
    rendered = render(kubernetes=f"1.{minor}")
    assert all(is_valid(json.dumps(item), f"1.{minor}") for item in rendered.objects)


@every_shape
def test_objects_have_unique_names(values):
    rendered = render(file=values)
    names = [
        (item["apiVersion"], item["kind"], item["metadata"]["name"]) for item in rendered.objects
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_template_uses_neither_the_cluster_nor_chance(template):
    code = " ".join(re.findall(r"\{\{.*?\}\}", template.read_text(), re.DOTALL))
    used = set(re.findall(r"[.\w]+", re.sub(r'"[^"]*"|`[^`]*`|/\*.*?\*/', "", code)))
    assert not used & NONDETERMINISTIC
    assert not any(name.startswith(("gen", "rand")) for name in used)


def test_older_kubernetes_is_refused():
    done = run_helm("template", "mirrorhook", CHART, "--kube-version", "1.29.9")
    assert "kubeVersion: >=1.30.0-0" in done.stderr
    vendor = run_helm("template", "mirrorhook", CHART, "--kube-version", "1.33.2-gke.100")
    assert vendor.returncode == 0, vendor.stderr

"""Every supported shape of the chart, on both Helm lines, for the oldest and the newest
Kubernetes.
"""

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

# Their kinds are defined in the cluster, not in Kubernetes.
CUSTOM_GROUPS = ("cert-manager.io/", "monitoring.coreos.com/")

FIRST_WITH_POLICIES = "1.36"

TEMPLATES = sorted(path for path in CHART.rglob("templates/**/*") if path.is_file())
# What makes a template give another result elsewhere, or the next time.
OUTSIDE = {
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
    """The schemas of Kubernetes, each of which is read once and not for each object."""
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", read_once)


read_once = cache(kubernetes_validate.utils.schema_contents)


@cache
def is_valid(document: str, version: str) -> bool:
    kubernetes_validate.validate(json.loads(document), version, strict=True)
    return True


# One shape is enough for the older line: that it renders the same is shown below.
@pytest.mark.parametrize(
    ("values", "helm"),
    [(CI_VALUES[0], HELM_VERSIONS[0]), *((path, HELM_VERSIONS[1]) for path in CI_VALUES)],
    ids=lambda each: getattr(each, "stem", each),
)
def test_helm_lint_has_nothing_to_say(values, helm):
    done = run_helm("lint", CHART, "--strict", "--values", values, version=helm)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[" not in done.stdout


@every_shape
def test_both_helm_lines_render_the_same_objects(values):
    old, new = (
        render(file=values, helm=helm, kubernetes=kubernetes)
        for helm, kubernetes in zip(HELM_VERSIONS, KUBERNETES_VERSIONS, strict=True)
    )

    def in_order(rendered):
        return sorted(map(json.dumps, rendered.objects))

    # Nor does anything depend on the version of Kubernetes, on time or on chance.
    assert in_order(old) == in_order(new)


@every_shape
@every_kubernetes
def test_every_object_fulfils_the_schema_of_kubernetes(values, kubernetes):
    rendered = render(file=values)
    builtin = [
        item for item in rendered.objects if not item["apiVersion"].startswith(CUSTOM_GROUPS)
    ]
    assert len(builtin) >= 3
    for item in builtin:
        policy = item["kind"].startswith("MutatingAdmissionPolicy")
        version = max(kubernetes, FIRST_WITH_POLICIES) if policy else kubernetes
        assert is_valid(json.dumps(item), version)


@every_shape
def test_no_two_objects_have_one_name(values):
    rendered = render(file=values)
    names = [
        (item["apiVersion"], item["kind"], item["metadata"]["name"]) for item in rendered.objects
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_rendering_asks_no_cluster_and_throws_no_dice(template):
    code = " ".join(re.findall(r"\{\{.*?\}\}", template.read_text(), re.DOTALL))
    used = set(re.findall(r"[.\w]+", re.sub(r'"[^"]*"|`[^`]*`|/\*.*?\*/', "", code)))
    assert not used & OUTSIDE
    assert not any(name.startswith(("gen", "rand")) for name in used)


def test_an_older_kubernetes_is_refused():
    done = run_helm("template", "mirrorhook", CHART, "--kube-version", "1.29.9")
    assert "kubeVersion: >=1.30.0-0" in done.stderr
    vendor = run_helm("template", "mirrorhook", CHART, "--kube-version", "1.33.2-gke.100")
    assert vendor.returncode == 0, vendor.stderr

"""The chart as a dependency of another chart, with Helm 3 and Helm 4."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, HELM_VERSIONS, Rendered, run_helm

NAME = "kubernetes.io/metadata.name"
# What Argo CD passes to `helm template`. It renders without a cluster, and runs no test hooks.
ARGO_CD = ("--include-crds", "--kube-version", "1.37", "--api-versions", "v1")

every_helm = pytest.mark.parametrize("helm", HELM_VERSIONS)


@dataclass(frozen=True)
class Parent:
    """A chart that depends on mirrorhook twice, the second time by an alias."""

    folder: Path

    def run(self, values: Any, helm: str, *more: str, command: str = "template") -> Any:
        name = ("platform",) if command == "template" else ()
        arguments = (command, *name, self.folder, "--namespace", "apps", *more)
        return run_helm(*arguments, version=helm, values=values)

    def render(self, values: Any, helm: str, *more: str) -> Rendered:
        done = self.run(values, helm, *more)
        assert done.returncode == 0, done.stderr
        objects = yaml.load_all(done.stdout, Loader=yaml.CSafeLoader)
        return Rendered(tuple(each for each in objects if each))


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parent")
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    dependency = {"name": "mirrorhook", "version": version}
    chart = {
        "apiVersion": "v2",
        "name": "platform",
        "version": "1.0.0",
        "icon": "https://example.com/icon.svg",
        "dependencies": [
            dependency | {"condition": "mirrorhook.enabled"},
            dependency | {"alias": "edge", "condition": "edge.enabled"},
        ],
    }
    (folder / "Chart.yaml").write_text(json.dumps(chart))
    (folder / "values.yaml").write_text(json.dumps({"edge": {"enabled": False}}))
    (folder / "templates").mkdir()
    (folder / "templates/config.yaml").write_text(
        json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "parent"}})
    )
    shutil.copytree(CHART, folder / "charts/mirrorhook")
    return Parent(folder)


@every_helm
def test_condition_of_the_dependency_installs_it_or_not(parent, helm):
    assert len(parent.render({}, helm).objects) > 10
    (own,) = parent.render({"mirrorhook": {"enabled": False}}, helm).objects
    assert own["metadata"]["name"] == "parent"


@every_helm
def test_enabled_installs_nothing_without_a_condition_too(parent, helm):
    for more in ({}, {"rewriter": "policy"}, {"enforce": "deny"}):
        values = {"enabled": False, "monitoring": {"dashboard": {"enabled": True}}, **more}
        done = run_helm("template", "mirrorhook", CHART, version=helm, values=values)
        assert done.returncode == 0, done.stderr
        assert not list(filter(None, yaml.safe_load_all(done.stdout)))


@every_helm
def test_global_pull_secrets_are_names_or_objects(parent, helm):
    shared = {
        "imageRegistry": "harbor.example.com",
        "imagePullSecrets": ["a", {"name": "b"}],
        "storageClass": "fast",
        "postgresql": {"auth": {"username": "x"}},
    }
    # A name that is there in both forms is not there twice, which Helm 4 could not apply.
    own = [{"name": "c"}, "a", "b", {"name": "a"}]
    values = {"global": shared, "mirrorhook": {"imagePullSecrets": own}}
    for spec in parent.render(values, helm).pod_specs:
        assert spec["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}, {"name": "c"}]
        assert spec["containers"][0]["image"].startswith("harbor.example.com/mirrorhook/")


@every_helm
@pytest.mark.parametrize("shared", [{"imagePullSecrets": None, "imageRegistry": None}, {}])
def test_global_values_may_be_empty(parent, helm, shared):
    for spec in parent.render({"global": shared}, helm).pod_specs:
        assert "imagePullSecrets" not in spec
        assert spec["containers"][0]["image"].startswith("ghcr.io/")


@every_helm
def test_alias_is_a_second_installation_of_its_own(parent, helm):
    rendered = parent.render({"edge": {"enabled": True}}, helm)
    names = [
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in rendered.objects
    ]
    assert len(set(names)) == len(names)
    selectors = [each["spec"]["selector"]["matchLabels"] for each in rendered.of_kind("Deployment")]
    assert len(selectors) == 2
    assert selectors[0] != selectors[1]
    services = {
        webhook["clientConfig"]["service"]["name"]
        for each in rendered.of_kind("MutatingWebhookConfiguration")
        for webhook in each["webhooks"]
    }
    assert services == {"platform-mirrorhook", "platform-edge"}


@every_helm
@pytest.mark.parametrize("alias", ["imageMirrors", "image_mirrors", "IMAGE-MIRRORS"])
def test_alias_may_have_every_form_that_helm_allows(parent, tmp_path, helm, alias):
    folder = shutil.copytree(parent.folder, tmp_path / "parent")
    chart = json.loads((folder / "Chart.yaml").read_text())
    chart["dependencies"] = [chart["dependencies"][0] | {"alias": alias, "condition": ""}]
    (folder / "Chart.yaml").write_text(json.dumps(chart))
    objects = Parent(folder).render({alias: {"replicas": 3}}, helm).objects
    assert all(re.fullmatch("[a-z0-9.-]+", each["metadata"]["name"]) for each in objects)
    assert {each["spec"]["replicas"] for each in objects if each["kind"] == "Deployment"} == {3}


@every_helm
def test_namespace_of_the_parent_is_rewritten_only_if_mirrorhook_is_elsewhere(parent, helm):
    def excluded(values):
        (webhook,) = parent.render({"mirrorhook": values}, helm).webhooks.values()
        expressions = webhook["namespaceSelector"]["matchExpressions"]
        return [each["values"] for each in expressions if each["key"] == NAME]

    assert excluded({}) == [["apps"]]
    assert excluded({"namespaceOverride": "mirrorhook"}) == [["mirrorhook"]]


@every_helm
def test_namespace_override_applies_to_every_reference(parent, helm):
    values = {"mirrorhook": {"namespaceOverride": "elsewhere", "enforce": "warn"}}
    rendered = parent.render(values, helm)
    own = [each for each in rendered.objects if each["metadata"]["name"] != "parent"]
    assert {each["metadata"].get("namespace") for each in own} == {None, "elsewhere"}
    assert "apps" not in json.dumps([each for each in own if each["kind"] != "Deployment"]).replace(
        "apps/v1", ""
    )
    (container,) = rendered.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert "--service-namespace=elsewhere" in container["args"]


@every_helm
def test_argo_cd_renders_the_same_objects_every_time(parent, helm):
    values = {"mirrorhook": {"rules": [{"match": "docker.io", "mirrors": ["m.example.com"]}]}}
    first, second = (parent.render(values, helm, *ARGO_CD) for _ in range(2))
    assert first == second
    hooks = [
        each["metadata"]["annotations"]["helm.sh/hook"]
        for each in first.objects
        if "helm.sh/hook" in each["metadata"].get("annotations", {})
    ]
    # Argo CD ignores this hook, and Flux runs it only if asked to.
    assert hooks == ["test"]


@every_helm
def test_parent_passes_lint(parent, helm):
    done = parent.run({"edge": {"enabled": True}}, helm, "--strict", command="lint")
    assert done.returncode == 0, done.stdout + done.stderr


@every_helm
def test_missing_block_of_values_is_refused_by_its_name(helm):
    done = run_helm("template", "x", CHART, version=helm, values={"monitoring": None})
    assert done.returncode != 0
    assert "monitoring" in done.stderr
    assert "nil pointer" not in done.stderr

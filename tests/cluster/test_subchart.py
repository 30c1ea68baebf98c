"""The chart as a dependency of another chart, installed by Helm 3, Helm 4 and GitOps tools."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from tests.cluster.api import namespaced
from tests.cluster.processes import until
from tests.cluster.release import CHART, Release, trusted
from tests.cluster.world import ENABLED, MIRROR, RULES
from tests.tools.helm import helm3, helm4

NGINX = f"{MIRROR}/hub/library/nginx"
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """A chart of a platform, with mirrorhook under an alias."""
    folder = tmp_path_factory.mktemp("platform")
    dependency = {"name": "mirrorhook", "alias": "hook", "condition": "hook.enabled"}
    chart = {
        "apiVersion": "v2",
        "name": "platform",
        "version": "1.0.0",
        "dependencies": [dependency | {"version": VERSION}],
    }
    (folder / "Chart.yaml").write_text(json.dumps(chart))
    (folder / "templates").mkdir()
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "platform"}}
    (folder / "templates/platform.yaml").write_text(json.dumps(own))
    shutil.copytree(CHART, folder / "charts/mirrorhook")
    return folder


def values_of(name):
    """Values of the parent: mirrorhook in a namespace of its own, which the release creates."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    return {
        "global": {"imagePullSecrets": [{"name": "a"}, "b"], "storageClass": "fast"},
        "hook": {
            "enabled": True,
            "namespaceOverride": name,
            "fullnameOverride": name,
            "extraObjects": [namespace],
            "rules": RULES,
        },
    }


def write_values(plane, name, values):
    file = plane.folder / f"{name}-values.json"
    file.write_text(json.dumps(values))
    return file


def run_pod(release):
    """Run a replica, and wait until the API server trusts it."""
    release.start_proxy()
    release.run_replicas()
    until(lambda: trusted(release), "a CA bundle in the configuration")


@pytest.mark.parametrize("helm", [helm3, helm4], ids=["helm3", "helm4"])
def test_namespace_of_the_parent_is_rewritten_by_a_subchart_elsewhere(world, parent, helm):
    plane, name = world.plane, f"hook-of-{helm.__name__}"
    apps = world.namespace(ENABLED)
    command = (helm(), "upgrade", "--install", "platform", parent, "--namespace", apps)
    values = values_of(name)
    plane.run(*command, "--values", write_values(plane, name, values))
    release = Release(plane, name)
    try:
        run_pod(release)
        world.wait_for(apps, "nginx", NGINX)
        # The namespace of mirrorhook itself is never rewritten.
        plane.kubectl("label", "namespace", name, "mirrorhook.io/rewrite=enabled")
        assert world.tried(name, "nginx") == "nginx"
        values["hook"]["enabled"] = False
        plane.run(*command, "--values", write_values(plane, name, values))
        until(lambda: not world.api.find(release.configuration), "the end of the webhook")
        assert world.api.find(namespaced("configmaps", apps, "platform"))
    finally:
        release.close()
        plane.run(helm(), "uninstall", "platform", "--namespace", apps)


def test_manifests_as_argo_cd_renders_them_can_be_applied_again_and_again(world, parent):
    plane, name = world.plane, "hook-of-argo"
    apps = world.namespace(ENABLED)
    file = write_values(plane, name, values_of(name))
    rendered = plane.run(
        *(helm4(), "template", "platform", parent, "--namespace", apps, "--values", file),
        *("--include-crds", "--kube-version", "1.37", "--no-hooks"),
    )
    manifest = plane.folder / f"{name}.yaml"
    manifest.write_text(rendered)
    release = Release(plane, name)
    apply = ("apply", "--server-side", "--field-manager=argocd-controller", "-f", str(manifest))
    try:
        plane.kubectl(*apply)
        run_pod(release)
        world.wait_for(apps, "nginx", NGINX)
        before = world.api.get(release.configuration)
        authority = world.api.get(release.authority)
        # Argo CD compares, and applies again, without asking the cluster for values.
        plane.kubectl(*apply)
        assert world.api.get(release.configuration)["webhooks"] == before["webhooks"]
        assert world.api.get(release.authority)["data"] == authority["data"]
        assert world.tried(apps, "nginx") == NGINX
    finally:
        release.close()
        plane.kubectl("delete", "--wait=false", "-f", str(manifest))

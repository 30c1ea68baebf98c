"""Custom resources: their definitions, permissions, and what else the chart does for them."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.chart.rendering import CHART, HELM_VERSIONS, refusal, render

ENABLED = {"customResources": {"enabled": True}}
KINDS = ["ClusterMirrorRules", "MirrorRules"]
GROUP = "rbac.authorization.k8s.io"


def enabled(**values):
    return {"customResources": {"enabled": True, **values}}


def roles(rendered):
    """Return the rules of each ClusterRole by name."""
    return {each["metadata"]["name"]: each["rules"] for each in rendered.of_kind("ClusterRole")}


def test_nothing_of_custom_resources_is_installed_by_default():
    text = json.dumps(render().objects).lower()
    for word in ("mirrorrules", "lease", "customresource"):
        assert word not in text


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_definitions_are_templates_so_that_upgrades_update_them(helm):
    rendered = render(ENABLED, helm=helm)
    given = [yaml.safe_load(path.read_text()) for path in sorted(CHART.glob("files/crds/*.yaml"))]
    found = rendered.of_kind("CustomResourceDefinition")
    assert [each["spec"]["names"]["kind"] for each in found] == KINDS
    for each, one in zip(found, given, strict=True):
        assert each["spec"] == one["spec"]
        assert each["metadata"]["name"] == one["metadata"]["name"]
    assert not (CHART / "crds").exists()


@pytest.mark.parametrize("keep", [True, False])
def test_definitions_are_kept_unless_the_values_say_otherwise(keep):
    for each in render(enabled(keep=keep)).of_kind("CustomResourceDefinition"):
        annotations = each["metadata"].get("annotations", {})
        assert annotations.get("helm.sh/resource-policy") == ("keep" if keep else None)


def test_definitions_of_somebody_else_are_left_alone():
    rendered = render(enabled(install=False))
    assert not rendered.of_kind("CustomResourceDefinition")
    assert rendered.of_kind("Lease")


def test_replicas_may_watch_and_write_status_and_events_only():
    rendered = render(ENABLED)
    _, *own = roles(rendered)["mirrorhook.mirrorhook"]
    kinds = ["clustermirrorrules", "mirrorrules"]
    statuses = [f"{kind}/status" for kind in kinds]
    assert own == [
        {"apiGroups": ["mirrorhook.io"], "resources": kinds, "verbs": ["list", "watch"]},
        {"apiGroups": ["mirrorhook.io"], "resources": statuses, "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    ]


def test_lease_is_created_by_the_chart_and_only_used_by_replicas():
    rendered = render(ENABLED, release="hook", namespace="infra")
    lease = rendered.one("Lease")
    assert "spec" not in lease
    (rule,) = (each for each in rendered.one("Role")["rules"] if each["resources"] == ["leases"])
    name = lease["metadata"]["name"]
    assert rule["resourceNames"] == [name]
    assert rule["verbs"] == ["get", "patch", "update"]
    (container,) = rendered.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert "--custom-resources" in container["args"]
    assert f"--lease=infra/{name}" in container["args"]


def test_external_certificates_get_only_what_custom_resources_need():
    rendered = render({**ENABLED, "certificates": {"mode": "cert-manager"}})
    text = json.dumps([roles(rendered), rendered.one("Role")["rules"]])
    assert "mutatingwebhookconfigurations" not in text
    assert "secrets" not in text
    assert "mirrorrules/status" in text
    spec = rendered.one("Deployment")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is True
    (egress,) = rendered.one("NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for port in egress["ports"]] == [443, 6443, 8443, 16443]
    cilium = {"networkPolicy": {"flavor": "cilium"}, "certificates": {"mode": "cert-manager"}}
    first, *_ = render(ENABLED | cilium).one("CiliumNetworkPolicy")["spec"]["egress"]
    assert first == {"toEntities": ["kube-apiserver"]}


@pytest.mark.parametrize(
    ("name", "targets", "verbs"),
    [
        (
            "edit.mirrorhook.mirrorhook",
            {"admin", "edit"},
            {"create", "delete", "deletecollection", "patch", "update"},
        ),
        ("view.mirrorhook.mirrorhook", {"admin", "edit", "view"}, {"get", "list", "watch"}),
    ],
)
def test_roles_of_namespaces_are_extended_by_the_namespaced_kind(name, targets, verbs):
    (found,) = (
        each for each in render(ENABLED).of_kind("ClusterRole") if each["metadata"]["name"] == name
    )
    labels = found["metadata"]["labels"]
    prefix = f"{GROUP}/aggregate-to-"
    assert {key.removeprefix(prefix) for key in labels if key.startswith(GROUP)} == targets
    (rule,) = found["rules"]
    assert rule["resources"] == ["mirrorrules"]
    assert {*rule["verbs"]} == verbs


@pytest.mark.parametrize(
    "values", [enabled(aggregateRoles=False), {**ENABLED, "rbac": {"create": False}}]
)
def test_roles_of_namespaces_are_extended_only_if_wanted(values):
    assert "aggregate" not in json.dumps(render(values).objects)


def test_conditions_from_rules_have_no_effect_but_others_stay():
    rules = {"rules": [{"match": "docker.io", "mirrors": ["m.example/hub"]}]}
    values = {"webhook": {"matchConditionsFromRules": True}, **rules}
    (narrow,) = render(values).webhooks.values()
    (wide,) = render(values | ENABLED).webhooks.values()
    (usual,) = render(rules).webhooks.values()
    assert len(narrow["matchConditions"]) == len(usual["matchConditions"]) + 1
    for key in ("matchConditions", "namespaceSelector", "objectSelector"):
        assert wide[key] == usual[key]


@pytest.mark.parametrize("enabled", [True, False])
def test_fill_copies_to_the_mirrors_of_objects_if_the_replicas_read_them(enabled):
    rendered = render({"fill": {"enabled": True}, "customResources": {"enabled": enabled}})
    pod = rendered.one("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert ("--custom-resources" in pod["initContainers"][0]["args"]) is enabled
    text = json.dumps(roles(rendered)["mirrorhook-fill.mirrorhook"])
    assert ("mirrorrules" in text) is enabled


@pytest.mark.parametrize("helm", HELM_VERSIONS)
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({**ENABLED, "rewriter": "policy"}, "customResources.enabled is true, but rewriter is"),
        (
            {
                **ENABLED,
                "certificates": {"mode": "cert-manager"},
                "automountServiceAccountToken": False,
            },
            "custom resources need the token",
        ),
        (
            {
                **ENABLED,
                "certificates": {"mode": "cert-manager"},
                "serviceAccount": {"create": False},
            },
            "custom resources need a dedicated service account",
        ),
    ],
)
def test_values_that_cannot_work_with_custom_resources_are_refused(values, sentence, helm):
    assert sentence in refusal(values, helm=helm)


def test_second_release_may_use_the_definitions_of_the_first():
    first = render(ENABLED)
    second = render(enabled(install=False), release="other", namespace="infra")

    def names(rendered):
        return {(each["kind"], each["metadata"]["name"]) for each in rendered.objects}

    assert not {kind for kind, name in names(first) & names(second)}

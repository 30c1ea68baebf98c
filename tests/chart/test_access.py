"""What the webhook may do in the cluster, and who may reach it."""

from __future__ import annotations

import pytest

from tests.chart.rendering import CHART, render

CLUSTER_NAME = "mirrorhook.mirrorhook"
VERBS = ["get", "watch", "patch"]


def test_rights_are_narrowed_to_one_secret_and_one_webhook_configuration():
    rendered = render()
    assert rendered.one("Role")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["mirrorhook-ca"],
            "verbs": VERBS,
        },
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["list"],
        },
    ]
    assert rendered.one("ClusterRole")["rules"] == [
        {
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": ["mutatingwebhookconfigurations"],
            "resourceNames": [CLUSTER_NAME],
            "verbs": VERBS,
        }
    ]
    configuration = rendered.one("MutatingWebhookConfiguration")
    assert configuration["metadata"]["name"] == CLUSTER_NAME


def test_the_right_to_create_secrets_can_be_given_up():
    rendered = render({"certificates": {"self": {"recreateSecret": False}}})
    assert [rule["verbs"] for rule in rendered.one("Role")["rules"]] == [VERBS, ["list"]]


def test_without_a_console_replicas_neither_find_nor_reach_each_other():
    rendered = render({"console": {"enabled": False}})
    rules = rendered.one("Role")["rules"]
    assert [rule["resources"] for rule in rules] == [["secrets"], ["secrets"]]
    spec = rendered.one("NetworkPolicy")["spec"]
    assert (len(spec["ingress"]), len(spec["egress"])) == (2, 1)


@pytest.mark.parametrize("kind", ["Role", "ClusterRole"])
def test_rights_go_to_the_service_account_of_the_pods(kind):
    rendered = render({"serviceAccount": {"name": "someone"}})
    binding = rendered.one(f"{kind}Binding")
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": kind,
        "name": rendered.one(kind)["metadata"]["name"],
    }
    (subject,) = binding["subjects"]
    assert subject == {
        "kind": "ServiceAccount",
        "name": "someone",
        "namespace": "mirrorhook",
    }
    spec = rendered.one("Deployment")["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "someone"
    assert rendered.one("ServiceAccount")["metadata"]["name"] == "someone"


@pytest.mark.parametrize(
    "values", ["ci/cert-manager-values.yaml", "ci/existing-secret-values.yaml"]
)
def test_certificates_of_others_need_no_rights_at_all(values):
    rendered = render(file=CHART / values)
    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Secret"):
        assert not rendered.of_kind(kind)
    spec = rendered.one("Deployment")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False


def test_the_token_is_mounted_where_it_is_used_alone():
    rendered = render()
    assert rendered.one("ServiceAccount")["automountServiceAccountToken"] is False
    spec = rendered.one("Deployment")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is True
    assert rendered.one("Pod")["spec"]["automountServiceAccountToken"] is False


def test_reviews_come_from_anywhere_and_metrics_from_pods():
    reviews, metrics, _ = render().one("NetworkPolicy")["spec"]["ingress"]
    assert reviews == {"ports": [{"port": "webhook", "protocol": "TCP"}]}
    assert metrics["ports"] == [{"port": "operations", "protocol": "TCP"}]
    assert metrics["from"] == [{"namespaceSelector": {}}]


def test_replicas_reach_each_other_though_nobody_else_may_read_metrics():
    rendered = render({"networkPolicy": {"metricsFrom": []}})
    spec = rendered.one("NetworkPolicy")["spec"]
    _, from_others = spec["ingress"]
    _, to_others = spec["egress"]
    assert from_others.pop("from") == to_others.pop("to") == [{"podSelector": spec["podSelector"]}]
    port = {"ports": [{"port": "operations", "protocol": "TCP"}]}
    assert from_others == to_others == port


def test_nothing_but_the_api_server_and_each_other_is_reached_from_the_pods():
    egress, _ = render().one("NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for port in egress["ports"]] == [443, 6443]
    assert (
        render({"certificates": {"mode": "cert-manager"}}).one("NetworkPolicy")["spec"]["egress"]
        == []
    )


def test_the_policies_of_the_webhook_do_not_hold_for_its_test():
    rendered = render()
    labels = rendered.one("Pod")["metadata"]["labels"]
    pods = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        rendered.one("Deployment")["spec"]["selector"]["matchLabels"],
        rendered.one("Service")["spec"]["selector"],
    ]
    for selector in selectors:
        assert selector.items() <= pods.items()
        assert not selector.items() <= labels.items()

"""The permissions of the webhook, and the network connections that are allowed."""

from __future__ import annotations

import json

import pytest

from tests.chart.rendering import CHART, render

CLUSTER_NAME = "mirrorhook.mirrorhook"
VERBS = ["get", "watch", "patch"]


def test_roles_are_limited_to_one_secret_and_one_webhook_configuration():
    rendered = render()
    assert rendered.one("Role")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["mirrorhook-ca"],
            "verbs": VERBS,
        },
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


def test_replicas_may_create_nothing():
    """A replica that is ending would create the Secret again after Helm has deleted it."""
    rendered = render()
    for kind in ("Role", "ClusterRole"):
        assert not any({"create", "*"} & {*rule["verbs"]} for rule in rendered.one(kind)["rules"])


def test_replicas_without_console_neither_find_nor_reach_each_other():
    rendered = render({"console": {"enabled": False}})
    rules = rendered.one("Role")["rules"]
    assert [rule["resources"] for rule in rules] == [["secrets"]]
    spec = rendered.one("NetworkPolicy")["spec"]
    assert (len(spec["ingress"]), len(spec["egress"])) == (2, 1)


@pytest.mark.parametrize("kind", ["Role", "ClusterRole"])
def test_roles_are_bound_to_the_service_account_of_the_pods(kind):
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
def test_external_certificates_need_no_permissions(values):
    rendered = render(file=CHART / values)
    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Secret"):
        assert not rendered.of_kind(kind)
    spec = rendered.one("Deployment")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False


def test_token_is_mounted_only_if_it_is_used():
    rendered = render()
    assert rendered.one("ServiceAccount")["automountServiceAccountToken"] is False
    spec = rendered.one("Deployment")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is True
    assert rendered.one("Pod")["spec"]["automountServiceAccountToken"] is False


def test_network_policy_allows_reviews_from_anywhere_and_metrics_from_pods():
    reviews, metrics, _ = render().one("NetworkPolicy")["spec"]["ingress"]
    assert reviews == {"ports": [{"port": "webhook", "protocol": "TCP"}]}
    assert metrics["ports"] == [{"port": "operations", "protocol": "TCP"}]
    assert metrics["from"] == [{"namespaceSelector": {}}]


def test_reviews_come_only_from_named_peers_and_the_test_pod():
    rendered = render(file=CHART / "ci/client-certificates-values.yaml")
    reviews = rendered.one("NetworkPolicy")["spec"]["ingress"][0]
    address, agents, test = reviews["from"]
    assert address == {"ipBlock": {"cidr": "10.0.0.11/32"}}
    assert agents["podSelector"] == {"matchLabels": {"k8s-app": "konnectivity-agent"}}
    labels = rendered.one("Pod")["metadata"]["labels"]
    assert test["podSelector"]["matchLabels"].items() <= labels.items()
    replicas = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert not test["podSelector"]["matchLabels"].items() <= replicas.items()


@pytest.mark.parametrize(
    ("value", "source"), [("configMapName", "name"), ("secretName", "secretName")]
)
def test_client_certificates_are_verified_with_a_mounted_ca(value, source):
    clients = {value: "api-server-ca", "names": ["kube-apiserver", "api.example"]}
    spec = render({"certificates": {"clients": clients}}).one("Deployment")["spec"]["template"][
        "spec"
    ]
    (container,) = spec["containers"]
    given = [each for each in container["args"] if each.startswith("--client-")]
    assert given == [
        "--client-ca=/etc/mirrorhook/clients/ca.crt",
        "--client-name=kube-apiserver",
        "--client-name=api.example",
    ]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounts["clients"] == "/etc/mirrorhook/clients"
    (volume,) = (each for each in spec["volumes"] if each["name"] == "clients")
    (content,) = (each for key, each in volume.items() if key != "name")
    assert content == {source: "api-server-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}


def test_clients_need_no_certificate_by_default():
    assert "client" not in json.dumps(render().one("Deployment"))


def test_replicas_reach_each_other_even_if_nobody_may_read_metrics():
    rendered = render({"networkPolicy": {"metricsFrom": []}})
    spec = rendered.one("NetworkPolicy")["spec"]
    _, from_others = spec["ingress"]
    _, to_others = spec["egress"]
    assert from_others.pop("from") == to_others.pop("to") == [{"podSelector": spec["podSelector"]}]
    port = {"ports": [{"port": "operations", "protocol": "TCP"}]}
    assert from_others == to_others == port


def test_pods_reach_only_the_api_server_and_each_other():
    egress, _ = render().one("NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for port in egress["ports"]] == [443, 6443, 8443, 16443]
    assert (
        render({"certificates": {"mode": "cert-manager"}}).one("NetworkPolicy")["spec"]["egress"]
        == []
    )


def test_selectors_do_not_select_the_pod_of_helm_test():
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

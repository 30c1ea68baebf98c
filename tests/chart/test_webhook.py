"""The MutatingWebhookConfiguration: which Pods the API server sends to the webhook, and how."""

from __future__ import annotations

import base64

import pytest

from tests.chart.rendering import CHART, render
from tests.chart.selectors import namespace_labels, selects


def selected_by(rendered, labels, *, policy="default"):
    """The names of a policy's webhooks that select a namespace."""
    return [
        name
        for name, webhook in rendered.webhooks.items()
        if name.removesuffix(".mirrorhook.io").rpartition(".")[2] == policy
        and selects(webhook["namespaceSelector"], labels)
    ]


def test_default_values_give_a_safe_webhook():
    (webhook,) = render().webhooks.values()
    elsewhere = {"namespaceSelector", "objectSelector", "matchConditions"}
    assert {key: webhook[key] for key in webhook.keys() - elsewhere} == {
        "name": "default.mirrorhook.io",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore",
        "timeoutSeconds": 3,
        "reinvocationPolicy": "IfNeeded",
        "sideEffects": "None",
        "matchPolicy": "Equivalent",
        "clientConfig": {
            "service": {
                "name": "mirrorhook",
                "namespace": "mirrorhook",
                "path": "/mutate",
                "port": 443,
            }
        },
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["pods"],
                "scope": "Namespaced",
            },
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["UPDATE"],
                "resources": ["pods/ephemeralcontainers"],
                "scope": "Namespaced",
            },
        ],
    }


OPT_IN: dict = {}
LISTED = {"namespaces": ["shop", "kube-system"]}
LISTED_ONLY = {"mode": "listed", "namespaces": ["shop", "kube-system"]}
ALL = {"mode": "all"}
ALL_AND_SYSTEM = {"mode": "all", "namespaces": ["kube-system"]}
EXCLUDED = {"mode": "all", "excludedNamespaces": ["calico-system", "kube-public"]}


@pytest.mark.parametrize(
    ("selection", "namespace", "rewrite", "expected"),
    [
        # opt-in: the label, and nothing else
        (OPT_IN, "shop", "enabled", True),
        (OPT_IN, "shop", None, False),
        (OPT_IN, "shop", "disabled", False),
        (OPT_IN, "shop", "yes", False),
        (OPT_IN, "kube-system", None, False),
        (OPT_IN, "kube-system", "enabled", True),
        (OPT_IN, "mirrorhook", "enabled", False),
        # opt-in with a list: labelled or listed
        (LISTED, "shop", None, True),
        (LISTED, "shop", "enabled", True),
        (LISTED, "shop", "disabled", False),
        (LISTED, "other", None, False),
        (LISTED, "other", "enabled", True),
        (LISTED, "kube-system", None, True),
        (LISTED, "kube-public", None, False),
        (LISTED, "mirrorhook", "enabled", False),
        # listed: the list, and nothing else
        (LISTED_ONLY, "shop", None, True),
        (LISTED_ONLY, "shop", "enabled", True),
        (LISTED_ONLY, "shop", "disabled", False),
        (LISTED_ONLY, "other", "enabled", False),
        (LISTED_ONLY, "kube-system", None, True),
        (LISTED_ONLY, "kube-public", "enabled", False),
        (LISTED_ONLY, "mirrorhook", "enabled", False),
        # all: but the system's, unless labelled or listed
        (ALL, "shop", None, True),
        (ALL, "shop", "enabled", True),
        (ALL, "shop", "disabled", False),
        (ALL, "kube-system", None, False),
        (ALL, "kube-system", "enabled", True),
        (ALL, "kube-system", "disabled", False),
        (ALL, "kube-public", None, False),
        (ALL, "kube-node-lease", None, False),
        (ALL, "mirrorhook", None, False),
        (ALL, "mirrorhook", "enabled", False),
        (ALL_AND_SYSTEM, "kube-system", None, True),
        (ALL_AND_SYSTEM, "kube-system", "disabled", False),
        (ALL_AND_SYSTEM, "kube-public", None, False),
        (ALL_AND_SYSTEM, "kube-public", "enabled", True),
        # excluded: whatever the label
        (EXCLUDED, "calico-system", None, False),
        (EXCLUDED, "calico-system", "enabled", False),
        (EXCLUDED, "kube-public", "enabled", False),
        (EXCLUDED, "kube-system", "enabled", True),
        (EXCLUDED, "shop", None, True),
    ],
)
def test_namespaces_are_selected_by_label_list_and_mode(selection, namespace, rewrite, expected):
    rendered = render({"selection": selection})
    found = selected_by(rendered, namespace_labels(namespace, rewrite))
    # Never twice: a Pod is reviewed once.
    assert len(found) == expected, found


def test_namespace_of_the_release_is_never_selected():
    for mode in ("opt-in", "all"):
        rendered = render({"selection": {"mode": mode}}, namespace="kube-system")
        assert not selected_by(rendered, namespace_labels("kube-system", "enabled"))


def test_namespace_selector_of_the_values_is_added():
    selector = {
        "matchLabels": {"tier": "edge"},
        "matchExpressions": [{"key": "team", "operator": "Exists"}],
    }
    rendered = render({"selection": {"mode": "all", "namespaceSelector": selector}})
    for labels, expected in [
        (namespace_labels("shop", tier="edge", team="a"), True),
        (namespace_labels("shop", tier="edge"), False),
        (namespace_labels("shop", team="a"), False),
        (namespace_labels("kube-system", "enabled", tier="edge", team="a"), True),
        (namespace_labels("kube-system", "enabled"), False),
    ]:
        assert bool(selected_by(rendered, labels)) is expected, labels


@pytest.mark.parametrize(
    ("labels", "operator"),
    [
        ({"cnpg.io/podRole": "instance"}, "cloudNativePG"),
        ({"application": "spilo"}, "zalandoPostgres"),
        ({"olm.catalogSource": "operatorhubio-catalog"}, "olm"),
        ({"olm.catalogSource": ""}, "olm"),
        ({"aerospike.com/cr": "aerocluster"}, "aerospike"),
        ({"kubevirt.io": "virt-launcher"}, "kubeVirt"),
    ],
)
def test_pods_of_operators_that_compare_images_are_skipped(labels, operator):
    (skipping,) = render().webhooks.values()
    assert not selects(skipping["objectSelector"], labels)
    (rewritten,) = render({"operators": {operator: False}}).webhooks.values()
    assert selects(rewritten["objectSelector"], labels)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, True),
        ({"mirrorhook.io/rewrite": "disabled"}, False),
        ({"mirrorhook.io/rewrite": "enabled"}, True),
        ({"cnpg.io/podRole": "pooler", "application": "shop"}, True),
    ],
)
def test_pod_opts_out_by_label(labels, expected):
    (webhook,) = render().webhooks.values()
    assert selects(webhook["objectSelector"], labels) is expected


def test_object_selector_of_the_values_is_added():
    selector = {"matchLabels": {"mirror": "yes"}}
    (webhook,) = render({"selection": {"objectSelector": selector}}).webhooks.values()
    assert selects(webhook["objectSelector"], {"mirror": "yes"})
    assert not selects(webhook["objectSelector"], {})
    opted_out = {"mirror": "yes", "mirrorhook.io/rewrite": "disabled"}
    assert not selects(webhook["objectSelector"], opted_out)


def test_pods_of_the_webhook_are_never_selected():
    for values in ({}, {"selection": {"mode": "all", "namespaces": ["kube-system"]}}):
        rendered = render(values)
        own = [
            rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"],
            rendered.one("Pod")["metadata"]["labels"],
        ]
        for webhook in rendered.webhooks.values():
            for labels in own:
                assert not selects(webhook["objectSelector"], labels)


def test_policies_have_separate_webhooks():
    rendered = render(file=CHART / "ci/policies-values.yaml")
    assert {
        name: webhook["clientConfig"]["service"]["path"]
        for name, webhook in rendered.webhooks.items()
    } == {
        "default.mirrorhook.io": "/mutate",
        "listed.default.mirrorhook.io": "/mutate",
        "edge.mirrorhook.io": "/mutate/edge",
        "system.edge.mirrorhook.io": "/mutate/edge",
        "team-a.mirrorhook.io": "/mutate/team-a",
    }
    assert selected_by(rendered, namespace_labels("team-a"), policy="team-a")
    assert not selected_by(rendered, namespace_labels("team-a"))
    # The label opts in to the policy default, not to that of a team.
    opted_in = namespace_labels("shop", "enabled")
    assert not selected_by(rendered, opted_in, policy="team-a")
    assert selected_by(rendered, opted_in)
    assert selected_by(rendered, namespace_labels("x", tier="edge"), policy="edge")
    policies = {name: hook["failurePolicy"] for name, hook in rendered.webhooks.items()}
    assert policies["team-a.mirrorhook.io"] == "Fail"
    assert policies["edge.mirrorhook.io"] == "Ignore"


def test_match_conditions_of_the_values_are_added():
    conditions = [{"name": "not-mine", "expression": "request.userInfo.username != 'me'"}]
    own = [{"name": "named", "expression": "has(object.metadata.name)"}]
    rendered = render(
        {
            "webhook": {"matchConditions": conditions},
            "policies": {
                "one": {"selection": {"mode": "all"}, "matchConditions": own},
                "two": {"selection": {"mode": "all"}},
            },
        }
    )
    webhooks = rendered.webhooks
    assert conditions[0] in webhooks["default.mirrorhook.io"]["matchConditions"]
    assert own[0] in webhooks["one.mirrorhook.io"]["matchConditions"]
    assert conditions[0] not in webhooks["one.mirrorhook.io"]["matchConditions"]
    assert conditions[0] in webhooks["two.mirrorhook.io"]["matchConditions"]


@pytest.mark.parametrize("mode", ["self", "cert-manager"])
def test_ca_bundle_is_not_set_if_something_else_writes_it(mode):
    rendered = render({"certificates": {"mode": mode}})
    for webhook in rendered.webhooks.values():
        assert set(webhook["clientConfig"]) == {"service"}


def test_cert_manager_annotation_names_the_certificate():
    rendered = render({"certificates": {"mode": "cert-manager"}})
    metadata = rendered.one("MutatingWebhookConfiguration")["metadata"]
    certificate = rendered.one("Certificate")
    assert metadata["annotations"] == {
        "cert-manager.io/inject-ca-from": "mirrorhook/mirrorhook-tls",
        "mirrorhook.io/ca": "external",
    }
    assert certificate["metadata"]["name"] == "mirrorhook-tls"
    assert "mirrorhook.mirrorhook.svc" in certificate["spec"]["dnsNames"]
    assert certificate["spec"]["issuerRef"]["name"] == rendered.one("Issuer")["metadata"]["name"]


def test_given_issuer_replaces_the_self_signed_one():
    rendered = render(file=CHART / "ci/cert-manager-values.yaml")
    assert not rendered.of_kind("Issuer")
    assert rendered.one("Certificate")["spec"]["issuerRef"] == {
        "name": "internal-ca",
        "kind": "ClusterIssuer",
    }


def test_ca_of_an_existing_certificate_is_set():
    rendered = render(file=CHART / "ci/existing-secret-values.yaml")
    metadata = rendered.one("MutatingWebhookConfiguration")["metadata"]
    assert metadata["annotations"] == {"mirrorhook.io/ca": "external"}
    for webhook in rendered.webhooks.values():
        bundle = base64.b64decode(webhook["clientConfig"]["caBundle"])
        assert bundle.startswith(b"-----BEGIN CERTIFICATE-----\n")


def test_aks_has_nothing_to_edit():
    rendered = render({"cloud": {"aks": True}, "selection": {"mode": "all"}})
    metadata = rendered.one("MutatingWebhookConfiguration")["metadata"]
    assert metadata["annotations"] == {"admissions.enforcer/disabled": "true"}
    for labels in (
        namespace_labels("shop", **{"kubernetes.azure.com/managedby": "aks"}),
        namespace_labels("kube-system", "enabled", **{"control-plane": "true"}),
    ):
        assert not selected_by(rendered, labels)
    assert selected_by(rendered, namespace_labels("shop"))


NO_SIDECAR_CHANGES_THEM = {
    "mirrorhook.io/is-no-mirror-pod",
    "mirrorhook.io/is-not-opted-out",
    "mirrorhook.io/has-new-containers",
}


def test_webhook_is_called_for_pods_to_which_others_add_containers():
    """The API server calls a webhook again only if it called it before."""
    for webhook in render({"profiles": ["daocloud"]}).webhooks.values():
        assert {each["name"] for each in webhook["matchConditions"]} == NO_SIDECAR_CHANGES_THEM
        assert webhook["reinvocationPolicy"] == "IfNeeded"


def test_conditions_from_rules_are_an_explicit_choice():
    values = {"profiles": ["daocloud"], "webhook": {"matchConditionsFromRules": True}}
    (webhook,) = render(values).webhooks.values()
    (added,) = {each["name"] for each in webhook["matchConditions"]} - NO_SIDECAR_CHANGES_THEM
    assert added == "mirrorhook.io/has-images-of-the-rules"

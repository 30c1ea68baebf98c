"""A policy of the API server instead of the webhook (`rewriter: policy`)."""

from __future__ import annotations

import json

import kubernetes_validate
import pytest
import yaml

from tests.chart.rendering import CHART, HELM_VERSIONS, refusal, render
from tests.chart.test_table import read_literal
from webhook.core import Rule
from webhook.render import PolicyOptions, render_policy

RULE = {"match": "docker.io", "mirrors": ["harbor.example.com/hub"]}
VALUES = {"rewriter": "policy", "rules": [RULE]}
POLICY = "MutatingAdmissionPolicy"
BINDING = "MutatingAdmissionPolicyBinding"


def rendered_by_command(**options):
    """The policy that the command renders from the same rules."""
    rules = [Rule("docker.io", ["harbor.example.com/hub"])]
    (file,) = render_policy(rules, PolicyOptions(**options)).files
    return next(yaml.safe_load_all(file.text))["spec"]


def with_command_condition_names(spec):
    """The policy with the condition names of the command, which have no domain."""
    for condition in spec["matchConditions"]:
        condition["name"] = condition["name"].removeprefix("mirrorhook.io/")
    return spec


def test_chart_renders_only_the_policy_and_its_bindings():
    rendered = render(file=CHART / "ci/api-server-policy-values.yaml")
    kinds = [item["kind"] for item in rendered.objects]
    assert sorted(kinds) == [POLICY, BINDING, BINDING]


@pytest.mark.parametrize(
    "values",
    [
        {"certificates": {"mode": "cert-manager"}},
        {"certificates": {"mode": "existing", "existing": {"secretName": "tls"}}},
        {"monitoring": {"kind": "PodMonitor", "prometheusRule": {"enabled": True}}},
        {"autoscaling": {"enabled": True}, "files": {"a.txt": "docker.io/**"}},
    ],
    ids=lambda values: next(iter(values)),
)
def test_objects_of_the_webhook_are_not_rendered(values):
    rendered = render({**VALUES, **values})
    assert {item["kind"] for item in rendered.objects} == {POLICY, BINDING}


@pytest.mark.parametrize("record", [True, False])
def test_policy_equals_that_of_the_render_command(record):
    spec = render({**VALUES, "record": record}).one(POLICY)["spec"]
    command = rendered_by_command(record=record)
    tables = [each["variables"][0].pop("expression") for each in (spec, command)]
    assert read_literal(tables[0]) == read_literal(tables[1])
    selector = spec["matchConstraints"].pop("objectSelector")
    assert selector["matchExpressions"]
    assert spec["matchConstraints"].pop("matchPolicy") == "Equivalent"
    assert with_command_condition_names(spec) == command


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"namespaces": ["shop", "kube-system"]},
        {"mode": "listed", "namespaces": ["shop"]},
        {"mode": "all", "excludedNamespaces": ["calico-system"]},
        {"mode": "all", "namespaceSelector": {"matchLabels": {"tier": "edge"}}},
        {"objectSelector": {"matchLabels": {"mirror": "yes"}}},
    ],
    ids=str,
)
def test_policy_selects_the_same_namespaces_and_pods_as_the_webhook(selection):
    values = {"selection": selection, "operators": {"olm": False}, "cloud": {"aks": True}}
    webhooks = render(values).webhooks.values()
    rendered = render({**VALUES, **values})
    assert [
        binding["spec"]["matchResources"]["namespaceSelector"]
        for binding in rendered.of_kind(BINDING)
    ] == [webhook["namespaceSelector"] for webhook in webhooks]
    constraints = rendered.one(POLICY)["spec"]["matchConstraints"]
    for webhook in webhooks:
        assert constraints["objectSelector"] == webhook["objectSelector"]
        assert constraints["resourceRules"] == webhook["rules"]


def test_policy_uses_the_values_of_the_webhook():
    webhook = {"failurePolicy": "Fail", "reinvocationPolicy": "Never"}
    rendered = render({**VALUES, "webhook": webhook}, release="a", namespace="b")
    policy = rendered.one(POLICY)
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert policy["spec"]["reinvocationPolicy"] == "Never"
    assert policy["metadata"]["name"] == "a-mirrorhook.b"
    assert rendered.one(BINDING)["spec"]["policyName"] == "a-mirrorhook.b"


def test_match_conditions_of_the_values_are_added():
    spec = render(file=CHART / "ci/api-server-policy-values.yaml").one(POLICY)["spec"]
    assert [each["name"] for each in spec["matchConditions"]] == [
        "mirrorhook.io/is-no-mirror-pod",
        "mirrorhook.io/is-not-opted-out",
        "mirrorhook.io/has-new-containers",
        "not-by-the-scheduler",
    ]


def test_policy_can_use_the_api_version_before_1_36():
    rendered = render({**VALUES, "policyApiVersion": "v1beta1"})
    for item in (rendered.one(POLICY), rendered.one(BINDING)):
        assert item["apiVersion"] == "admissionregistration.k8s.io/v1beta1"
        kubernetes_validate.validate(json.loads(json.dumps(item)), "1.34", strict=True)


def mirrored(**mirror):
    target = {"target": "h.example.com", **mirror}
    return {"rules": [{"match": "docker.io", "mirrors": [target]}]}


HUB = {"match": "quay.io", "mirrors": ["docker.io"]}
FLAT = {"match": "gcr.io", "mirrors": [{"target": "m.example.com", "flatten": True}]}
BESIDE = {"match": "m.example.com/b", "mirrors": ["z.example.com"]}
DEEP = {"match": "a.example.com/" + "/".join("x" * 11), "mirrors": ["m.example.com"]}
LONG = {"match": "a.example.com/" + "x" * 240, "mirrors": ["m.example.com"]}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"mode": "observe"},
            "mode is observe, but a policy of the API server cannot report",
        ),
        (
            {"policies": {"a": {"selection": {"mode": "all"}}}},
            "policies has a, but the API",
        ),
        ({"availability": {"mode": "check"}}, "the API server cannot check mirrors"),
        ({"profiles": ["dockercloud"]}, "profiles[0]: unknown profile 'dockercloud'"),
        ({"rules": [{"regex": "a.*", "keep": True}]}, "rules[0] has the regex a.*, but a"),
        (
            {"rules": [RULE | {"verify": "digest"}]},
            "rules[0] has verify, but the API server",
        ),
        (mirrored(allowlist="a.txt"), "rules[0].mirrors[0] has the allowlist a.txt"),
        (mirrored(pullSecrets=["a", "b"]), "rules[0].mirrors[0] has the pullSecrets a, b"),
        (mirrored(target="harbor/hub"), "mirror 'harbor/hub' would be read as"),
        (mirrored(target="https://h.example.com"), "'https://h.example.com' has a scheme"),
        ({"rules": [{"match": "a.*.io", "keep": True}]}, "match 'a.*.io' has a"),
        ({"rules": [RULE, RULE]}, "rules[0] already has a rule for docker.io"),
        (
            {"rules": [RULE, RULE | {"match": "index.docker.io"}]},
            "rules[0] already has a rule for docker.io",
        ),
        ({"rules": [HUB, RULE]}, "The rule for quay.io leads to docker.io, where an image"),
        ({"rules": [FLAT, BESIDE]}, "The rule for gcr.io flattens images to m.example.com"),
        (
            {
                "rules": [
                    {"match": "*.gcr.io/a", "mirrors": ["quay.io"]},
                    {"match": "quay.io", "mirrors": ["m.example.com/hub"]},
                ]
            },
            "The rule for *.gcr.io/a leads to another rule, which treats *.gcr.io/a itself",
        ),
        (
            {
                "rules": [
                    {"match": "gcr.io", "mirrors": ["m.example.com/a"]},
                    {"match": "m.example.com/a", "mirrors": ["gcr.io"]},
                ]
            },
            "the rules form a cycle: m.example.com/a → gcr.io",
        ),
        (
            {"rules": [DEEP]},
            "A rule has a path of 11 parts, but a policy supports at most 10",
        ),
        ({"rules": [LONG]}, "has 255 characters including separators"),
        (
            {
                "rules": [
                    {"match": f"r{n}.example.com/{'a' * 150}", "mirrors": ["m.example.com"]}
                    for n in range(600)
                ]
            },
            "characters of CEL, but a policy can hold at most 90000",
        ),
        (
            {
                "rules": [
                    {"match": f"*.r{n}.example.com", "mirrors": ["m.example.com"]}
                    for n in range(21)
                ]
            },
            "The rules match subdomains of 21 domains, but a policy supports at most 20",
        ),
    ],
)
def test_values_that_a_policy_does_not_support_are_refused(values, sentence):
    assert sentence in refusal({"rewriter": "policy", **values})


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_policy_without_rules_changes_nothing(helm):
    rendered = render({"rewriter": "policy"}, helm=helm)
    table = rendered.one(POLICY)["spec"]["variables"][0]["expression"]
    assert table == "{'_depth': '0',\n'_domains': ''}"

"""A policy of the API server in place of the webhook: what is made, for whom, and what is not."""

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


def by_the_command(**options):
    """The policy that the command makes of the same rules."""
    rules = [Rule("docker.io", ["harbor.example.com/hub"])]
    (file,) = render_policy(rules, PolicyOptions(**options)).files
    return next(yaml.safe_load_all(file.text))["spec"]


def with_conditions_alike(spec):
    """The policy with the conditions of the command, which have no domain before their names."""
    for condition in spec["matchConditions"]:
        condition["name"] = condition["name"].removeprefix("mirrorhook.io/")
    return spec


def test_there_are_the_policy_and_its_bindings_and_nothing_else():
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
def test_whatever_belongs_to_the_webhook_is_left_out(values):
    rendered = render({**VALUES, **values})
    assert {item["kind"] for item in rendered.objects} == {POLICY, BINDING}


@pytest.mark.parametrize("record", [True, False])
def test_the_policy_is_that_of_the_command(record):
    spec = render({**VALUES, "record": record}).one(POLICY)["spec"]
    command = by_the_command(record=record)
    tables = [each["variables"][0].pop("expression") for each in (spec, command)]
    assert read_literal(tables[0]) == read_literal(tables[1])
    selector = spec["matchConstraints"].pop("objectSelector")
    assert selector["matchExpressions"]
    assert spec["matchConstraints"].pop("matchPolicy") == "Equivalent"
    assert with_conditions_alike(spec) == command


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
def test_it_is_for_the_namespaces_and_pods_that_the_webhook_is_for(selection):
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


def test_the_choices_of_the_webhook_hold_for_it():
    webhook = {"failurePolicy": "Fail", "reinvocationPolicy": "Never"}
    rendered = render({**VALUES, "webhook": webhook}, release="a", namespace="b")
    policy = rendered.one(POLICY)
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert policy["spec"]["reinvocationPolicy"] == "Never"
    assert policy["metadata"]["name"] == "a-mirrorhook.b"
    assert rendered.one(BINDING)["spec"]["policyName"] == "a-mirrorhook.b"


def test_own_conditions_come_on_top():
    spec = render(file=CHART / "ci/api-server-policy-values.yaml").one(POLICY)["spec"]
    assert [each["name"] for each in spec["matchConditions"]] == [
        "mirrorhook.io/is-no-mirror-pod",
        "mirrorhook.io/is-not-opted-out",
        "mirrorhook.io/has-new-containers",
        "not-by-the-scheduler",
    ]


def test_the_version_before_1_36_can_be_asked_for():
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
            "mode is observe, and a policy of the API server tells nobody",
        ),
        (
            {"policies": {"a": {"selection": {"mode": "all"}}}},
            "policies has a, and the API",
        ),
        ({"availability": {"mode": "check"}}, "the API server asks no mirror"),
        ({"profiles": ["dockercloud"]}, "profiles has dockercloud, which this chart does"),
        ({"rules": [{"regex": "a.*", "keep": True}]}, "rules[0] has the regex a.*, and a"),
        (
            {"rules": [RULE | {"verify": "digest"}]},
            "rules[0] has verify, and the API server",
        ),
        (mirrored(allowlist="a.txt"), "rules[0].mirrors[0] has the allowlist a.txt"),
        (mirrored(pullSecrets=["a", "b"]), "rules[0].mirrors[0] has the pullSecrets a, b"),
        (mirrored(target="harbor/hub"), "rules[0].mirrors[0] is harbor/hub, which is no"),
        (mirrored(target="https://h.example.com"), "is https://h.example.com, which is no"),
        ({"rules": [{"match": "a.*.io", "keep": True}]}, "rules[0].match is a.*.io, which"),
        ({"rules": [RULE, RULE]}, "rules[1].match is docker.io, as in rules[0]"),
        (
            {"rules": [RULE, RULE | {"match": "index.docker.io"}]},
            "rules[1].match is docker.io, as in rules[0]",
        ),
        ({"rules": [HUB, RULE]}, "The rule for quay.io leads to docker.io, where an image"),
        ({"rules": [FLAT, BESIDE]}, "The rule for gcr.io flattens images to m.example.com"),
        (
            {
                "rules": [
                    {"match": "gcr.io", "mirrors": ["m.example.com/a"]},
                    {"match": "m.example.com/a", "mirrors": ["gcr.io"]},
                ]
            },
            "The rules form a cycle: gcr.io → m.example.com/a",
        ),
        (
            {"rules": [DEEP]},
            "A rule has a path of 11 parts, and a policy has them up to 10",
        ),
        ({"rules": [LONG]}, "of 255 characters with its separators"),
        (
            {
                "rules": [
                    {"match": f"r{n}.example.com/{'a' * 150}", "mirrors": ["m.example.com"]}
                    for n in range(600)
                ]
            },
            "characters of CEL, and a policy has room for 90000",
        ),
        (
            {
                "rules": [
                    {"match": f"*.r{n}.example.com", "mirrors": ["m.example.com"]}
                    for n in range(21)
                ]
            },
            "The rules name the subdomains of 21 domains, and a policy has them up to 20",
        ),
    ],
)
def test_what_a_policy_cannot_do_is_refused_with_a_sentence(values, sentence):
    assert sentence in refusal({"rewriter": "policy", **values})


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_no_rules_are_a_policy_that_changes_nothing(helm):
    rendered = render({"rewriter": "policy"}, helm=helm)
    table = rendered.one(POLICY)["spec"]["variables"][0]["expression"]
    assert table == "{'_depth': '0',\n'_domains': ''}"

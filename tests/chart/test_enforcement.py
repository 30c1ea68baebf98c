"""What happens to Pods with unmirrored images (`enforce`)."""

from __future__ import annotations

import json

import kubernetes_validate
import pytest
import yaml

from tests.chart.rendering import refusal, render
from tests.chart.test_table import read_literal
from webhook.core import Rule
from webhook.render import PolicyOptions, render_enforcement

RULE = {"match": "docker.io", "mirrors": ["harbor.example.com/hub"]}
# Without the other policy of the chart.
VALUES = {"enforce": "deny", "rules": [RULE], "rbac": {"protectConfiguration": False}}
POLICY = "ValidatingAdmissionPolicy"
BINDING = "ValidatingAdmissionPolicyBinding"
OPTED_OUT = {"key": "mirrorhook.io/rewrite", "operator": "NotIn", "values": ["disabled"]}


def rendered_by_command(**options):
    """The policy and the binding that the command renders from the same rules."""
    rules = [Rule("docker.io", ["harbor.example.com/hub"])]
    (file,) = render_enforcement(rules, PolicyOptions(**options)).files
    return yaml.safe_load_all(file.text)


def test_nothing_is_enforced_by_default():
    kinds = {item["kind"] for item in render({**VALUES, "enforce": ""}).objects}
    assert not kinds & {POLICY, BINDING}


@pytest.mark.parametrize("rewriter", ["webhook", "policy"])
@pytest.mark.parametrize("enforce", ["warn", "deny"])
def test_policy_equals_that_of_the_render_command(rewriter, enforce):
    rendered = render({**VALUES, "rewriter": rewriter, "enforce": enforce})
    policy, binding = rendered_by_command(warn=enforce == "warn")
    spec = rendered.one(POLICY)["spec"]
    tables = [each["variables"][0].pop("expression") for each in (spec, policy["spec"])]
    assert read_literal(tables[0]) == read_literal(tables[1])
    for condition in spec["matchConditions"]:
        condition["name"] = condition["name"].removeprefix("mirrorhook.io/")
    assert spec["matchConstraints"].pop("matchPolicy") == "Equivalent"
    assert spec == policy["spec"]
    actions = rendered.one(BINDING)["spec"]["validationActions"]
    assert actions == binding["spec"]["validationActions"]


SELECTIONS = [
    {"namespaces": ["shop"]},
    {"mode": "all", "namespaceSelector": {"matchLabels": {"tier": "edge"}}},
    {"objectSelector": {"matchLabels": {"mirror": "yes"}}},
]
CONDITION = {"name": "not-mine", "expression": "!has(object.metadata.labels)"}


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_policy_checks_all_pods_of_the_same_namespaces(selection):
    webhook = {"matchConditions": [CONDITION]}
    rendered = render({**VALUES, "selection": selection, "webhook": webhook})
    policy = rendered.one(POLICY)
    assert [
        binding["spec"]["matchResources"]["namespaceSelector"]
        for binding in rendered.of_kind(BINDING)
    ] == [webhook["namespaceSelector"] for webhook in rendered.webhooks.values()]
    names = {binding["spec"]["policyName"] for binding in rendered.of_kind(BINDING)}
    assert names == {policy["metadata"]["name"]}
    for item in (policy, *rendered.of_kind(BINDING)):
        assert "objectSelector" not in json.dumps(item)
    # Neither depends on labels. The kubelet never runs the Pods with the annotation of the first.
    assert {each["name"] for each in policy["spec"]["matchConditions"]} == {
        "mirrorhook.io/is-no-mirror-pod",
        "mirrorhook.io/has-new-containers",
    }


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_exemptions_are_an_explicit_choice_and_exclude_the_opt_out(selection):
    webhook = {"matchConditions": [CONDITION]}
    values = {**VALUES, "selection": selection, "webhook": webhook, "enforceExemptions": True}
    rendered = render(values)
    constraints = rendered.one(POLICY)["spec"]["matchConstraints"]
    selector = constraints["objectSelector"]
    selector["matchExpressions"].insert(0, OPTED_OUT)
    assert selector == next(iter(rendered.webhooks.values()))["objectSelector"]
    assert CONDITION in rendered.one(POLICY)["spec"]["matchConditions"]


def test_exemptions_without_skipped_operators_have_an_empty_selector():
    names = ("cloudNativePG", "zalandoPostgres", "olm", "aerospike", "kubeVirt")
    values = {"operators": dict.fromkeys(names, False), "enforceExemptions": True}
    rendered = render({**VALUES, **values})
    for item in (rendered.one(POLICY), rendered.of_kind(BINDING)[0]):
        kubernetes_validate.validate(json.loads(json.dumps(item)), "1.34", strict=True)


def mirrored(**mirror):
    return {"rules": [{**RULE, "mirrors": [{"target": "h.example.com", **mirror}]}]}


@pytest.mark.parametrize(
    "values",
    [
        {"availability": {"mode": "check"}},
        {"mode": "observe", "enforce": "warn"},
        mirrored(pullSecrets=["a"]),
        {"availability": {"mode": "check"}, "rules": [RULE | {"verify": "digest"}]},
    ],
    ids=str,
)
def test_values_without_effect_on_enforcement_are_accepted(values):
    assert render({**VALUES, **values}).one(POLICY)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"mode": "observe"}, "Set enforce to warn, or mode to rewrite."),
        ({"policies": {"a": {"selection": {"mode": "all"}}}}, "or leave enforce empty"),
        ({"rules": [{"regex": "a.*", "keep": True}]}, "or leave enforce empty"),
        (mirrored(allowlist="a.txt"), "or leave enforce empty"),
        (
            {"rules": [{"match": "quay.io", "mirrors": ["docker.io"]}, RULE]},
            "use the final mirror in the rule itself, or leave enforce empty",
        ),
        ({"enforce": "refuse"}, "enforce"),
    ],
)
def test_values_that_cannot_be_enforced_are_refused(values, sentence):
    message = refusal({**VALUES, **values})
    assert sentence in message
    assert "rewriter" not in message


def test_limits_of_the_rewriting_policy_still_apply():
    message = refusal({**VALUES, "rewriter": "policy", "mode": "observe"})
    assert "set rewriter to webhook to observe" in message

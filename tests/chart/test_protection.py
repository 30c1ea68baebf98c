"""The policy that limits what the replicas may change in their webhook configuration."""

from __future__ import annotations

import copy
import json
import re
from importlib.resources import files

import kubernetes_validate
import pytest
from cel_expr_python import cel
from cel_expr_python.ext import ext_optional

from tests.chart.rendering import CHART, KUBERNETES_VERSIONS, render

POLICY = "ValidatingAdmissionPolicy"
ENVIRONMENT = cel.NewEnv(
    variables=dict.fromkeys(("object", "oldObject"), cel.Type.DYN),
    extensions=[ext_optional.ExtOptional()],
)


@pytest.fixture(scope="module")
def allowed():
    """Return whether the policy allows a change of the configuration."""
    rendered = render(file=CHART / "ci/policies-values.yaml")
    before = rendered.one("MutatingWebhookConfiguration")
    validations = [
        ENVIRONMENT.compile(each["expression"])
        for each in rendered.one(POLICY)["spec"]["validations"]
    ]

    def judge(change):
        after = copy.deepcopy(before)
        change(after)
        data = {"object": after, "oldObject": before}
        results = [each.eval(data=data) for each in validations]
        assert all(each.type() == cel.Type.BOOL for each in results)
        return all(each.value() for each in results)

    return judge


def in_webhook(**fields):
    return lambda after: after["webhooks"][1].update(fields)


def in_client(**fields):
    return lambda after: after["webhooks"][1]["clientConfig"].update(fields)


def in_metadata(**fields):
    return lambda after: after["metadata"].update(fields)


def set_bundles(after):
    for webhook in after["webhooks"]:
        webhook["clientConfig"]["caBundle"] = "QQ=="


def reverse(after):
    after["webhooks"].reverse()


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        set_bundles,
        reverse,
        in_metadata(resourceVersion="2", generation=3, managedFields=[]),
    ],
    ids=["nothing", "all bundles", "the order", "what the API server sets"],
)
def test_replicas_may_change_the_ca_bundle(allowed, change):
    assert allowed(change)


EVERYTHING = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
FORBIDDEN = {
    "rules": in_webhook(rules=[EVERYTHING]),
    "no rules": lambda after: after["webhooks"][1].pop("rules"),
    "name": in_webhook(name="other.example.org"),
    "failurePolicy": in_webhook(failurePolicy="Fail"),
    "matchPolicy": in_webhook(matchPolicy="Exact"),
    "namespaceSelector": in_webhook(namespaceSelector={}),
    "objectSelector": in_webhook(objectSelector={}),
    "sideEffects": in_webhook(sideEffects="NoneOnDryRun"),
    "timeoutSeconds": in_webhook(timeoutSeconds=30),
    "admissionReviewVersions": in_webhook(admissionReviewVersions=["v1beta1"]),
    "reinvocationPolicy": in_webhook(reinvocationPolicy="Never"),
    "matchConditions": in_webhook(matchConditions=[]),
    "url": in_client(url="https://attacker.example/"),
    "service": in_client(service={"name": "a", "namespace": "b"}),
    "a webhook less": lambda after: after["webhooks"].pop(),
    "a webhook more": lambda after: after["webhooks"].append(
        {**after["webhooks"][0], "name": "more.example.org"}
    ),
    "no webhooks": lambda after: after.pop("webhooks"),
    "labels": in_metadata(labels={}),
    "annotations": in_metadata(annotations={"a": "b"}),
    "finalizers": in_metadata(finalizers=["a.example/b"]),
    "owners": in_metadata(ownerReferences=[{"uid": "4"}]),
}


@pytest.mark.parametrize("change", FORBIDDEN)
def test_replicas_may_change_nothing_else(allowed, change):
    assert not allowed(FORBIDDEN[change])


def test_policy_has_all_fields_of_a_webhook():
    name = "v1.37.0-local/mutatingwebhook-admissionregistration-v1.json"
    package = files("kubernetes_validate") / "kubernetes-json-schema"
    schema = json.loads((package / name).read_text())
    _, expression = (each["expression"] for each in render().one(POLICY)["spec"]["validations"])
    compared = {field for field, _ in re.findall(r"new\.\??(\w+) == old\.\??(\w+)", expression)}
    assert compared == schema["properties"].keys() - {"clientConfig"}


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_policy_is_for_the_service_account_and_the_configuration_alone(version):
    rendered = render({"serviceAccount": {"name": "someone"}}, kubernetes=version)
    policy, binding = rendered.one(POLICY), rendered.one(f"{POLICY}Binding")
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    (role,) = rendered.one("ClusterRole")["rules"]
    assert (rule["resources"], rule["resourceNames"]) == (role["resources"], role["resourceNames"])
    (condition,) = policy["spec"]["matchConditions"]
    name = "system:serviceaccount:mirrorhook:someone"
    assert condition["expression"] == f"request.userInfo.username == '{name}'"
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert policy["spec"]["failurePolicy"] == "Fail"
    for item in (policy, binding):
        kubernetes_validate.validate(json.loads(json.dumps(item)), "1.34", strict=True)


@pytest.mark.parametrize(
    "values",
    [
        {"rbac": {"protectConfiguration": False}},
        {"rbac": {"create": False}},
        {"certificates": {"mode": "cert-manager"}},
        {"rewriter": "policy"},
    ],
    ids=str,
)
def test_policy_is_created_with_the_permission_that_it_limits(values):
    assert not render(values).of_kind(POLICY)

"""Clusters in which a policy of the API server rewrites, with one fault each."""

from __future__ import annotations

import pytest
import yaml

from tests.cli.doctor.reader import CREATED, NOW, MemoryReader, helm, pod, recorded
from webhook.cli.doctor.checks import check_cluster
from webhook.cli.doctor.installation import read_installation
from webhook.cli.doctor.pods import explain_pod
from webhook.cli.doctor.webhooks import CONFIGURATIONS
from webhook.core import Rule
from webhook.kube import ForbiddenError, RefusedError
from webhook.render import ApiVersion, PolicyOptions, render_policy

GROUP = "/apis/admissionregistration.k8s.io"
RULES = [Rule("docker.io", ["m.example/hub"]), Rule("docker.io/our", keep=True)]
EARLIER = "2026-11-01T00:00:00Z"
PARAMETER = "/api/v1/namespaces/mirrors/configmaps/mirrorhook-rules"


def evaluating(rules=RULES, **options):
    """A cluster with the rendered policy of some rules, and without a webhook."""
    chosen = PolicyOptions(**options)
    (file,) = render_policy(rules, chosen).files
    policy, binding, *parameter = yaml.safe_load_all(file.text)
    for each in (policy, binding):
        each["metadata"]["creationTimestamp"] = EARLIER
    reader = MemoryReader()
    api = f"{GROUP}/{chosen.api_version}"
    reader.objects[api] = {"resources": [{"name": "mutatingadmissionpolicies"}]}
    reader.objects |= dict(zip([PARAMETER], parameter, strict=False))
    reader.lists = {
        f"{api}/mutatingadmissionpolicies": [policy],
        f"{api}/mutatingadmissionpolicybindings": [binding],
    }
    return reader


def policies(reader, version="v1"):
    return reader.lists[f"{GROUP}/{version}/mutatingadmissionpolicies"]


def bindings(reader):
    return reader.lists[f"{GROUP}/v1/mutatingadmissionpolicybindings"]


def looked(reader, namespace="shop", image=None):
    return [*check_cluster(reader, NOW, namespace, image)]


def faults(found):
    return [each for each in found if each.status != "ok"]


@pytest.mark.parametrize(
    "options", [{}, {"params": "mirrors"}, {"api_version": ApiVersion.V1BETA1}], ids=str
)
def test_healthy_policy_has_ok_findings_only(options):
    found = looked(evaluating(**options))
    assert faults(found) == []
    assert [each.check for each in found] == [
        *("API server", "clock", "policy", "rules", "namespace", "dry run")
    ]


def test_policy_and_webhook_may_coexist():
    reader = evaluating()
    reader.lists |= MemoryReader().lists
    found = looked(reader)
    (several,) = faults(found)
    assert "default.mirrorhook.io of mirrorhook.mirrorhook and policy mirrorhook" in several.text
    assert {"policy", "webhook"} <= {each.check for each in found}


def edited(reader):
    policies(reader)[0]["spec"]["variables"][0]["expression"] = "{'a b': 'c d'}"


def other_table(reader):
    policies(reader)[0]["spec"]["variables"][0]["expression"] = "variables.mine"


def without_binding_of_a_release(reader):
    policies(reader)[0]["metadata"]["annotations"] = helm("mirrors", "infra")
    bindings(reader).clear()


# What is done to the cluster; then the check, words of message is found, and of the fix.
FAULTS = {
    "no policy": (
        lambda reader: policies(reader).clear(),
        *("policy", "no policy mirrorhook for binding mirrorhook", "render policy"),
    ),
    "no binding": (
        lambda reader: bindings(reader).clear(),
        *("binding", "policy mirrorhook has no binding", "render policy"),
    ),
    "edited": (edited, "rules", "not in the form that mirrorhook writes", "render policy"),
    "other table": (other_table, "rules", "not in the form that", "render policy"),
    "no binding of a release": (
        without_binding_of_a_release,
        *("binding", "has no binding", "helm upgrade mirrors charts/mirrorhook --namespace infra"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_policy_fault_is_found_with_its_fix(fault):
    change, check, message, fix = FAULTS[fault]
    reader = evaluating()
    change(reader)
    (found,) = faults(check_cluster(reader, NOW))
    assert (found.check, found.status) == (check, "wrong")
    assert message in found.text
    assert fix in found.fix


def test_missing_config_map_of_a_policy_is_found():
    reader = evaluating(params="mirrors")
    del reader.objects[PARAMETER]
    (found,) = faults(check_cluster(reader, NOW))
    assert "its ConfigMap mirrors/mirrorhook-rules does not exist" in found.text


def test_policy_without_rules_is_found():
    (found,) = faults(check_cluster(evaluating([]), NOW))
    assert "policy mirrorhook has no rules" in found.text


def test_namespace_is_not_checked_if_nothing_rewrites():
    reader = evaluating()
    policies(reader).clear()
    (found,) = faults(looked(reader))
    assert found.check == "policy"


@pytest.mark.parametrize("version", ["v1.30.14", "v1.35.0"])
def test_api_server_without_mutating_policies_is_found(version):
    reader = MemoryReader()
    reader.lists = {CONFIGURATIONS: []}
    reader.objects["/version"] = {"gitVersion": version}
    nothing, old = faults(check_cluster(reader, NOW))
    assert "no webhook and no policy" in nothing.text
    assert f"this API server ({version}) does not serve MutatingAdmissionPolicies" in old.text
    assert "1.36" in old.text


def test_forbidden_policies_are_reported_as_unknown():
    reader = evaluating()

    def refused(path, selector=""):
        if "mutatingadmissionpolic" in path:
            raise ForbiddenError("you may not list them")
        return []

    reader.list = refused
    (found,) = faults(check_cluster(reader, NOW))
    assert (found.check, found.status) == ("policy", "unknown")
    assert "you may not list them" in found.text


def refusing(message):
    def tried(image):
        raise RefusedError(message)

    return tried


ENFORCED = (
    "ValidatingAdmissionPolicy 'enforce' with binding 'enforce' denied request: these images are "
    "not from a mirror: nginx"
)
FAILED = "policy 'mirrorhook' with binding 'mirrorhook' denied request: it cost too much"


@pytest.mark.parametrize(
    ("tried", "image", "status", "message", "fix"),
    [
        (lambda image: image, None, "wrong", "came back unchanged", "admission_policy"),
        (
            lambda image: image,
            "r.example/x",
            *("note", "no rule matches r.example/x", "add a rule"),
        ),
        (refusing(FAILED), None, "wrong", FAILED, "delete mutatingadmissionpolicy mirrorhook"),
        (
            refusing(ENFORCED),
            None,
            *("wrong", ENFORCED, "validatingadmissionpolicy enforce"),
        ),
    ],
)
def test_dry_run_shows_whether_the_policy_takes_effect(tried, image, status, message, fix):
    reader = evaluating()
    reader.tried = tried
    (found,) = faults(looked(reader, image=image))
    assert (found.check, found.status) == ("dry run", status)
    assert message in found.text
    assert fix in found.fix


def test_namespace_without_opt_in_to_a_policy_gets_the_label_as_fix():
    (found,) = faults(looked(evaluating(), "other"))
    assert "no policy handles the Pods of other" in found.text
    assert "kubectl label namespace other mirrorhook.io/rewrite=enabled" in found.fix


# By message is the matter: the Pod; then the status, and words of message is found.
PODS = {
    "rewritten": (
        pod("m.example/hub/library/nginx", annotations=recorded(c0="nginx")),
        *("ok", "rewritten from nginx"),
    ),
    "older": (pod("nginx", created="2026-10-01T00:00:00Z"), "wrong", "than the policy"),
    "not reached": (pod("nginx", created=CREATED), "wrong", "the policy was not reached"),
    "no rule": (pod("r.example/x"), "note", "no rule matches r.example/x"),
    "kept": (pod("our/a"), "note", "rule docker.io/our keeps it"),
    "an operator's": (pod("nginx", labels={"a": "b"}), "note", "exclude it from the policy"),
}


@pytest.mark.parametrize("case", PODS)
def test_pod_is_explained_by_a_policy(case):
    given, status, message = PODS[case]
    reader = evaluating()
    exclusion = {"key": "a", "operator": "NotIn", "values": ["b"]}
    constraints = policies(reader)[0]["spec"]["matchConstraints"]
    constraints["objectSelector"] = {"matchExpressions": [exclusion]}
    reader.objects["/api/v1/namespaces/shop/pods/web"] = given
    (found,) = explain_pod(reader, read_installation(reader), "shop", "web")
    assert found.status == status
    assert message in found.text

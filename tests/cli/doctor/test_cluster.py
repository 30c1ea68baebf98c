"""Clusters with one fault each: message doctor finds, and how to fix it."""

from __future__ import annotations

import ssl

import pytest

from tests.cli.doctor.reader import (
    NOW,
    MemoryReader,
    configuration,
    helm,
    replica,
    rules,
)
from webhook.cli.doctor.checks import check_cluster
from webhook.cli.doctor.webhooks import CONFIGURATIONS
from webhook.kube import RefusedError, UnavailableError

PODS = "/api/v1/namespaces/mirrorhook/pods"
MAPS = "/api/v1/namespaces/mirrorhook/configmaps"


def looked(reader, namespace="shop", image=None):
    return [*check_cluster(reader, NOW, namespace, image)]


def faults(found):
    return [each for each in found if each.status != "ok"]


def test_healthy_cluster_has_ok_findings_only():
    found = looked(MemoryReader())
    assert faults(found) == []
    assert {each.check for each in found} == {
        *("API server", "clock", "webhook", "trust", "replicas", "certificate", "rules"),
        *("namespace", "dry run"),
    }


def untrusted():
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_message = "unable to get local issuer certificate"
    return error


def refusing(image):
    raise RefusedError("cannot try a Pod: failed calling webhook")


WAITING = {"reason": "ImagePullBackOff", "message": "no such host"}
CRASHING = {"reason": "CrashLoopBackOff"}
SERVICE = {"name": "mirrorhook", "namespace": "mirrorhook"}


def unready(waiting=None):
    statuses = [{"state": {"waiting": waiting}}] if waiting else []
    return [replica("mirrorhook-1", {"containerStatuses": statuses})]


# What to set on the reader; then the check, words of message is found, and words of the fix.
FAULTS = {
    "not installed": (
        {CONFIGURATIONS: []},
        "webhook",
        "is not installed",
        "helm upgrade --install",
    ),
    "no bundle": (
        {CONFIGURATIONS: [configuration(clientConfig={"service": SERVICE})]},
        *("trust", "caBundle is empty", "logs"),
    ),
    "no Pods": ({PODS: []}, "replicas", "has no Pods", "replicaset -l app=webhook"),
    "no image": ({PODS: unready(WAITING)}, "replica", "no such host", "image.registry"),
    "a crash": ({PODS: unready(CRASHING)}, "replica", "CrashLoopBackOff", "--previous"),
    "not scheduled": ({PODS: unready()}, "replica", "is not ready", "describe pod"),
    "wrong rules": (
        {MAPS: [rules("rules: [{match: a}]")]},
        *("rules", "neither mirrors", "helm upgrade"),
    ),
    "no rules": ({MAPS: [rules("rules: []")]}, "rules", "has no rules", "add rules"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found_with_its_fix(fault):
    lists, check, message, fix = FAULTS[fault]
    reader = MemoryReader()
    reader.lists |= lists
    found = [each for each in check_cluster(reader, NOW) if each.status == "wrong"]
    assert [each.check for each in found] == [check]
    assert message in found[0].text
    assert fix in found[0].fix


@pytest.mark.parametrize(
    ("annotations", "message", "fix"),
    [
        (helm("mirrors", "infra"), "release infra/mirrors was deleted", "helm upgrade mirrors "),
        ({}, "webhook configuration of infra was deleted", "kubectl apply"),
    ],
)
def test_deleted_configuration_is_told_from_one_that_was_never_there(annotations, message, fix):
    reader = MemoryReader()
    metadata = {"name": "mirrors", "namespace": "infra", "annotations": annotations}
    reader.lists = {"/apis/apps/v1/deployments": [{"metadata": metadata}]}
    found, _ = faults(check_cluster(reader, NOW))
    assert message in found.text
    assert found.fix.startswith(fix)
    reader.forbidden = ("deployments",)
    found, _ = faults(check_cluster(reader, NOW))
    assert "mirrorhook is not installed" in found.text


def test_missing_service_is_found():
    reader = MemoryReader()
    del reader.objects["/api/v1/namespaces/mirrorhook/services/mirrorhook"]
    (found,) = faults(check_cluster(reader, NOW))
    assert "there is no Service mirrorhook/mirrorhook" in found.text


def test_unready_replica_reports_its_own_reason():
    reader = MemoryReader()
    reader.lists[PODS] = unready()
    reader.pages["/readyz"] = (503, "certificate: no CA can be read\n")
    (found,) = faults(check_cluster(reader, NOW))
    assert "mirrorhook-1 is not ready: certificate: no CA can be read" in found.text


def test_replica_with_older_rules_is_found():
    reader = MemoryReader()
    reader.pages["/metrics"] = (200, "mirrorhook_config_last_reload_successful 0.0\n")
    (found,) = faults(check_cluster(reader, NOW))
    assert found.check == "rules in use"


@pytest.mark.parametrize(
    ("served", "status", "message"),
    [
        (untrusted(), "wrong", "unable to get local issuer certificate"),
        (UnavailableError("cannot reach port 9443"), "unknown", "cannot reach port 9443"),
        (ConnectionResetError("reset"), "unknown", "reset"),
    ],
)
def test_untrusted_certificate_is_found(served, status, message):
    reader = MemoryReader()
    reader.served = served
    (found,) = faults(check_cluster(reader, NOW))
    assert (found.check, found.status) == ("certificate", status)
    assert message in found.text


def other(name, operation="CREATE", resource="pods"):
    """The configuration of another webhook."""
    rule = {"apiGroups": [""], "operations": [operation], "resources": [resource]}
    return {"metadata": {"name": name}, "webhooks": [{"rules": [rule]}]}


FROM_RULES = [{"name": "mirrorhook.io/has-images-of-the-rules", "expression": "true"}]


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({}, "ok", "and then default.mirrorhook.io again"),
        ({"matchConditions": FROM_RULES}, "note", "only for Pods that had images of the rules"),
        ({"reinvocationPolicy": "Never"}, "note", "but default.mirrorhook.io not again"),
    ],
)
def test_webhook_that_comes_later_is_reported(changes, status, message):
    reader = MemoryReader()
    reader.lists[CONFIGURATIONS] = [configuration(**changes)]
    reader.others = [other("vault"), other("a-mesh"), other("z-mesh", "*", "*")]
    (found,) = (each for each in looked(reader) if each.check == "order")
    assert found.status == status
    assert "calls vault and z-mesh after default.mirrorhook.io" in found.text
    assert message in found.text


@pytest.mark.parametrize(
    "before",
    [other("a-mesh"), other("z-mesh", "UPDATE"), other("z-mesh", "CREATE", "pods/exec")],
)
def test_webhook_that_adds_nothing_later_is_not_reported(before):
    reader = MemoryReader()
    reader.others = [before]
    assert "order" not in {each.check for each in looked(reader)}


@pytest.mark.parametrize("ahead", [-300, 300])
def test_clock_skew_is_found(ahead):
    reader = MemoryReader()
    reader.ahead = ahead
    (found,) = faults(check_cluster(reader, NOW))
    assert "300 s" in found.text


def test_namespace_without_opt_in_gets_the_label_as_fix():
    (found,) = faults(looked(MemoryReader(), "other"))
    assert found.fix == "kubectl label namespace other mirrorhook.io/rewrite=enabled --overwrite"


def test_missing_namespace_is_found():
    (found,) = faults(looked(MemoryReader(), "nowhere"))
    assert found.text == "there is no namespace nowhere"


@pytest.mark.parametrize(
    ("tried", "image", "status", "message"),
    [
        (lambda image: image, None, "wrong", "came back unchanged"),
        (lambda _: "m.example/else", None, "note", "became m.example/else instead of"),
        (refusing, None, "wrong", "failed calling webhook"),
        (lambda image: image, "r.example/x", "note", "no rule matches r.example/x"),
    ],
)
def test_dry_run_shows_whether_the_webhook_is_reached(tried, image, status, message):
    reader = MemoryReader()
    reader.tried = tried
    (found,) = faults(looked(reader, image=image))
    assert (found.check, found.status) == ("dry run", status)
    assert message in found.text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("mode: observe", "policy default has mode observe"),
        ("availability: {mode: check}", "asks the mirrors first"),
    ],
)
def test_dry_run_accepts_policies_that_may_skip_an_image(more, message):
    reader = MemoryReader()
    reader.lists[MAPS] = [rules(f"rules: [{{match: gcr.io, mirrors: [m.example]}}]\n{more}\n")]
    reader.tried = lambda image: image
    (found,) = faults(looked(reader))
    assert (found.check, found.status) == ("dry run", "note")
    assert message in found.text


def test_dry_run_accepts_any_candidate():
    reader = MemoryReader()
    two = "rules: [{match: gcr.io, mirrors: [a.example, b.example]}]"
    reader.lists[MAPS] = [rules(two)]
    reader.tried = lambda image: image.replace("gcr.io", "b.example")
    assert faults(looked(reader)) == []


def test_rules_may_refer_to_other_files_of_their_config_map():
    reader = MemoryReader()
    listed = "{target: m.example, allowlist: list.txt}"
    given = rules(f"rules: [{{match: gcr.io, mirrors: [{listed}]}}]")
    given["data"]["list.txt"] = "gcr.io/mirrorhook/doctor\n"
    reader.lists[MAPS] = [given]
    reader.tried = lambda image: image.replace("gcr.io", "m.example")
    assert faults(looked(reader)) == []


@pytest.mark.parametrize("match", ["docker.io", "gcr.io/a/b", "'*.gcr.io'", "'*'"])
def test_dry_run_finds_an_image_for_any_match(match):
    reader = MemoryReader()
    reader.lists[MAPS] = [rules(f"rules: [{{match: {match}, mirrors: [m.example]}}]")]
    tried = []
    reader.tried = lambda image: tried.append(image) or image
    looked(reader)
    assert len(tried) == 1


def test_dry_run_needs_a_rule_that_rewrites():
    reader = MemoryReader()
    reader.lists[MAPS] = [rules("rules: [{match: docker.io, keep: true}]")]
    assert faults(looked(reader))[-1].fix == "give --image IMAGE"


def test_webhook_by_url_is_ignored():
    reader = MemoryReader()
    reader.lists[CONFIGURATIONS] = [configuration(clientConfig={"url": "https://a.example/"})]
    found, _ = faults(check_cluster(reader, NOW))
    assert "has no webhook" in found.text

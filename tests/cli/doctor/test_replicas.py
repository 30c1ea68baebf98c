"""Replicas with one fault each, and the fix for the way their certificates are made."""

from __future__ import annotations

import ssl

import pytest

from tests.cli.doctor.reader import NOW, PAIR, MemoryReader, configuration, deployment, replica
from webhook.cli.doctor.checks import check_cluster
from webhook.cli.doctor.webhooks import CONFIGURATIONS
from webhook.kube import UnavailableError

NAMESPACE = "/api/v1/namespaces/mirrorhook"
PODS = f"{NAMESPACE}/pods"
SERVICE = f"{NAMESPACE}/services/mirrorhook"
DEPLOYMENT = "/apis/apps/v1/namespaces/mirrorhook/deployments/mirrorhook"
ACCOUNT = "system:serviceaccount:mirrorhook:mirrorhook"
PATCH = (ACCOUNT, "patch", "mutatingwebhookconfigurations")
SELF = deployment("serve", "--certificate-secret=mirrorhook/mirrorhook-ca")
EXISTING = deployment("serve", "--tls-cert=/tls.crt", secret="ours")
EXPIRED, UNKNOWN_CA = 10, 20


def faults(reader):
    return [each for each in check_cluster(reader, NOW) if each.status != "ok"]


def refused(code, words):
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_code, error.verify_message = code, words
    return error


def injected():
    given = configuration()
    given["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] = "certs/mirrorhook-tls"
    return given


# Deployment, webhook configuration, what is wrong with the certificate, and words of the fix.
CERTIFICATES = {
    "existing, expired": (EXISTING, configuration(), EXPIRED, "Secret mirrorhook/ours"),
    "existing, of another CA": (
        *(EXISTING, configuration(), UNKNOWN_CA),
        "certificates.existing.caBundle to the CA of Secret mirrorhook/ours",
    ),
    "cert-manager, expired": (EXISTING, injected(), EXPIRED, "cmctl renew mirrorhook-tls"),
    "cert-manager, of another CA": (
        *(EXISTING, injected(), UNKNOWN_CA),
        "kubectl --namespace certs describe certificate mirrorhook-tls",
    ),
    "self, of another CA": (SELF, configuration(), UNKNOWN_CA, "logs -l"),
    "self, expired": (SELF, configuration(), EXPIRED, "logs -l"),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_untrusted_certificate_has_a_fix_for_its_mode(case):
    workload, configured, code, fix = CERTIFICATES[case]
    reader = MemoryReader()
    reader.objects[DEPLOYMENT] = workload
    reader.lists[CONFIGURATIONS] = [configured]
    reader.served = refused(code, "bad")
    (found,) = faults(reader)
    assert (found.check, found.status) == ("certificate", "wrong")
    assert fix in found.fix
    assert "delete pod" not in found.fix


def test_replicas_without_permission_to_set_the_ca_are_found():
    reader = MemoryReader()
    reader.objects[DEPLOYMENT] = SELF
    reader.denied = {PATCH}
    reader.served = refused(UNKNOWN_CA, "unable to get local issuer certificate")
    permissions, certificate = faults(reader)
    assert permissions.check == "permissions"
    assert "may not patch MutatingWebhookConfiguration mirrorhook.mirrorhook" in permissions.text
    assert permissions.fix.startswith("helm upgrade mirrorhook charts/mirrorhook --namespace")
    assert "the replicas may not set it" in certificate.text


def test_empty_bundle_names_the_missing_permission():
    reader = MemoryReader()
    reader.objects[DEPLOYMENT] = SELF
    reader.denied = {PATCH}
    service = {"name": "mirrorhook", "namespace": "mirrorhook"}
    reader.lists[CONFIGURATIONS] = [configuration(clientConfig={"service": service})]
    assert [each.check for each in faults(reader)] == ["permissions", "trust"]


def test_certificate_is_read_again_if_the_connection_is_reset():
    reader = MemoryReader()
    reader.served = [ConnectionResetError("reset"), UnavailableError("reset"), PAIR.chain]
    assert faults(reader) == []


def test_deployment_that_is_scaled_to_0_is_found():
    reader = MemoryReader()
    reader.objects[DEPLOYMENT] = deployment(replicas=0)
    reader.lists[PODS] = []
    (found,) = faults(reader)
    assert "Deployment mirrorhook/mirrorhook is scaled to 0" in found.text
    assert found.fix == "kubectl --namespace mirrorhook scale deployment mirrorhook --replicas=2"


def test_service_that_selects_nothing_is_found():
    class Selecting(MemoryReader):
        def list(self, path, selector=""):
            other = path == PODS and selector == "app=other"
            return [] if other else super().list(path, selector)

    reader = Selecting()
    reader.objects[DEPLOYMENT] = SELF
    reader.objects[SERVICE] = {"spec": {"selector": {"app": "other"}}}
    (found,) = faults(reader)
    assert "its selector app=other selects none of the 1 Pods" in found.text
    assert '"value": {"app": "webhook"}' in found.fix
    reader.objects[SERVICE] = {"spec": {}}
    (found,) = faults(reader)
    assert "its selector (none) selects none" in found.text


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ({"port": 444, "targetPort": "webhook"}, "has no port 443"),
        ({"port": 443, "targetPort": "https"}, "leads to port https, which no replica has"),
        ({"port": 443, "targetPort": 1}, "leads to port 1, which no replica has"),
    ],
)
def test_service_with_a_wrong_port_is_found(port, message):
    reader = MemoryReader()
    reader.objects[SERVICE]["spec"]["ports"] = [port]
    (found,) = faults(reader)
    assert (found.check, found.status) == ("Service", "wrong")
    assert message in found.text


@pytest.mark.parametrize("target", ["webhook", 9443])
def test_service_with_a_right_port_is_not_reported(target):
    reader = MemoryReader()
    reader.objects[SERVICE]["spec"]["ports"] = [{"port": 443, "targetPort": target}]
    assert faults(reader) == []


def test_replica_that_crashes_over_an_expired_certificate_gets_a_new_one():
    reader = MemoryReader()
    reader.objects[DEPLOYMENT] = EXISTING
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    reader.lists[PODS] = [replica("mirrorhook-1", {"containerStatuses": [{"state": waiting}]})]
    reader.texts[f"{PODS}/mirrorhook-1/log"] = "Error: /tls/tls.crt expired on 2026-11-01\n"
    (found,) = faults(reader)
    assert "CrashLoopBackOff: Error: /tls/tls.crt expired" in found.text
    assert "put a new certificate into Secret mirrorhook/ours" in found.fix
    # The Pod may have other containers.
    (query,) = [query for path, query in reader.queries if path.endswith("/log")]
    assert query["container"] == "webhook"


@pytest.mark.parametrize(
    "part",
    ["mutatingwebhookconfigurations", "configmaps", "services", "/pods", "deployments"],
)
def test_forbidden_object_is_unknown_and_ends_nothing(part):
    reader = MemoryReader()
    reader.forbidden = (part,)
    found = [*check_cluster(reader, NOW)]
    assert {each.status for each in found} <= {"ok", "unknown"}
    assert part == "deployments" or any(each.status == "unknown" for each in found)


def test_deployment_that_cannot_create_pods_is_found_with_its_reason():
    reader = MemoryReader()
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    reader.objects[DEPLOYMENT] = {**SELF, "status": {"conditions": [failure]}}
    reader.lists[PODS] = []
    (found,) = faults(reader)
    assert "Deployment mirrorhook/mirrorhook creates none: exceeded quota" in found.text


def test_replica_that_no_node_takes_is_found_with_its_reason():
    reader = MemoryReader()
    pending = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    reader.lists[PODS] = [replica("mirrorhook-1", {"conditions": [pending]})]
    (found,) = faults(reader)
    assert "mirrorhook-1 is not scheduled: 0/3 nodes are available" in found.text


def test_webhook_that_is_not_for_new_pods_is_found():
    reader = MemoryReader()
    rule = {"apiGroups": [""], "operations": ["UPDATE"], "resources": ["pods"]}
    reader.lists[CONFIGURATIONS] = [configuration(rules=[rule])]
    (found,) = faults(reader)
    assert (found.check, found.status) == ("webhook", "wrong")
    assert "helm upgrade mirrorhook" in found.fix

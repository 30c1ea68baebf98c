"""Self-managed certificates, verified by a real API server."""

from __future__ import annotations

import base64
import socket
import ssl
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from tests.cluster.processes import until
from tests.cluster.release import released, trusted
from tests.cluster.storm import storm
from tests.cluster.world import MIRROR, RULES
from tests.tools.helm import helm3, helm4
from webhook.tls.ca import create_ca
from webhook.tls.ca_secret import CASecret
from webhook.tls.certificate import CLOCK_SKEW
from webhook.tls.rotation import Rotation

NGINX = f"{MIRROR}/hub/library/nginx"
# A new CA signs only after this time, so that API servers can load it first.
SETTLED = Rotation().settle_seconds + 150


@contextmanager
def failing_closed(plane, world, name, **options):
    """A release with failurePolicy Fail, and a namespace that it selects."""
    space = world.namespace()
    given = {
        "rules": RULES,
        "selection": {"mode": "listed", "namespaces": [space]},
        "webhook": {"failurePolicy": "Fail"},
    }
    with released(plane, given, name=name, **options) as release:
        world.wait_for(space, "nginx", NGINX)
        yield release, space


def authorities(release):
    """Return the CAs in the Secret."""
    found = release.plane.api.find(release.authority)
    data = (found or {}).get("data", {})
    bundle = base64.b64decode(data.get("ca.crt", ""))
    return x509.load_pem_x509_certificates(bundle) if bundle else []


def bundles(release):
    """Return the CA bundle of each webhook."""
    webhooks = release.plane.api.get(release.configuration)["webhooks"]
    return [base64.b64decode(each["clientConfig"]["caBundle"]) for each in webhooks]


def issuer(release, replica):
    """Return the CA that signed the certificate of a replica, which must be trusted."""
    (bundle,) = bundles(release)
    context = ssl.create_default_context(cadata=bundle.decode())
    name = f"{release.name}.{release.name}.svc"
    with (
        socket.create_connection((replica.address, 8443), 5) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        leaf = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))
    (found,) = (ca for ca in authorities(release) if signed(leaf, ca))
    return found


def signed(leaf, authority):
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError):
        return False
    return True


def test_replicas_that_start_together_agree_on_one_ca(plane, world):
    values = {"rules": RULES, "selection": {"mode": "listed", "namespaces": []}}
    values["selection"]["namespaces"] = [world.namespace()]
    with released(plane, values, name="mirrorhook-race", replicas=3) as release:
        (authority,) = authorities(release)
        assert {issuer(release, each) for each in release.replicas} == {authority}
        added = until(
            lambda: [
                line for each in release.replicas for line in each.logged("CA added to the Secret")
            ],
            "the line of the first",
        )
        assert len(added) == 1
        assert len(bundles(release)) == 1


def test_old_ca_is_replaced_while_pods_are_created(plane, world):
    life = Rotation().ca_lifetime
    # Two thirds of its lifetime end in a moment. It is valid from a little before its start.
    due = datetime.now(UTC) + timedelta(seconds=60)
    aged = create_ca("aged", due - life * 2 / 3 + CLOCK_SKEW / 3, life)

    def put(release):
        data = CASecret((aged.certificate,), (aged,)).encode()
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        plane.api.patch(release.authority, {"data": encoded})

    with failing_closed(plane, world, "mirrorhook-age", prepare=put) as (release, space):
        (replica,) = release.replicas
        assert issuer(release, replica) == aged.certificate
        with storm(world, space, NGINX) as pods:
            until(lambda: len(authorities(release)) == 2, "a new CA", SETTLED)
            newest = authorities(release)[-1]
            until(lambda: issuer(release, replica) == newest, "a new certificate", SETTLED)
            seen = pods.created
            until(lambda: pods.created > seen + 50, "more Pods")
        until(lambda: len(replica.logged("certificate signed")) == 2, "a line for each")


def test_deleted_secret_is_restored_by_an_upgrade_while_pods_are_created(plane, world):
    with failing_closed(plane, world, "mirrorhook-lost") as (release, space):
        (replica,) = release.replicas
        (first,) = authorities(release)
        time.sleep(2)  # certificates have a resolution of one second
        with storm(world, space, NGINX):
            plane.api.delete(release.authority)
            event = "certificate rotation has a problem"
            (line, *_) = until(lambda: replica.logged(event), event)
            assert "cannot create Secret" in line["problem"]
            release.install_again()
            until(lambda: len(authorities(release)) == 2, "a new CA beside the old")
            newest = authorities(release)[-1]
            assert newest != first
            until(lambda: issuer(release, replica) == newest, "a new certificate", SETTLED)


def test_webhook_without_permissions_serves_and_reports_the_problem(plane, world):
    with failing_closed(plane, world, "mirrorhook-rights") as (release, space):
        (replica,) = release.replicas
        root = "/apis/rbac.authorization.k8s.io/v1"
        plane.api.delete(f"{root}/clusterrolebindings/{release.name}.{release.name}")
        plane.api.delete(f"{root}/namespaces/{release.name}/rolebindings/{release.name}")
        plane.api.delete(release.authority)
        with storm(world, space, NGINX):
            event = "certificate rotation has a problem"
            (line, *_) = until(lambda: replica.logged(event), event)
            assert "forbidden" in line["problem"]
        release.install_again()
        until(lambda: replica.logged("certificate rotation works again"), "its end")
        assert world.tried(space, "nginx") == NGINX


@pytest.mark.parametrize("helm", [helm3, helm4])
def test_upgrade_loses_no_pod_and_keeps_the_ca(plane, world, helm):
    with failing_closed(plane, world, "mirrorhook-upgrade") as (release, space):
        before = authorities(release)
        with storm(world, space, NGINX) as pods:
            for count in (3, 2):
                release.install_again(helm(), replicas=count)
                until(lambda: trusted(release), "the bundle")
                seen = pods.created
                until(lambda seen=seen: pods.created > seen + 50, "more Pods")
        assert authorities(release) == before


def test_uninstalled_release_leaves_nothing_and_blocks_no_pod(plane, world):
    name = "mirrorhook-gone"
    with failing_closed(plane, world, name) as (release, space):
        named = things(plane, name)
        assert any("mutatingwebhookconfiguration" in each for each in named)
        assert any("clusterrolebinding" in each for each in named)
    assert things(plane, name) == []
    assert plane.api.find(release.authority) is None
    assert world.tried(space, "nginx") == "nginx"


def things(plane, name):
    """Return all objects in the cluster with the label of a release."""
    found = []
    for resource in plane.kubectl("api-resources", "--verbs=list", "-o", "name").split():
        if resource.startswith(("events", "componentstatuses")):
            continue
        selector = f"app.kubernetes.io/instance={name}"
        output = plane.kubectl(
            "get", resource, "-A", "-l", selector, "-o", "name", "--ignore-not-found"
        )
        found += [line for line in output.splitlines() if "/" in line and "Warning" not in line]
    return found


def test_wrong_ca_bundle_is_fixed_at_once(plane, world):
    with failing_closed(plane, world, "mirrorhook-bundle") as (release, space):
        stranger = create_ca("stranger", datetime.now(UTC), timedelta(days=9))
        pem = CASecret((stranger.certificate,), (stranger,)).encode()["ca.crt"]
        found = plane.api.get(release.configuration)
        for webhook in found["webhooks"]:
            webhook["clientConfig"]["caBundle"] = base64.b64encode(pem).decode()
        plane.api.put(release.configuration, found)
        until(lambda: any(b != pem for b in bundles(release)), "the bundle put right", 60)
        world.wait_for(space, "nginx", NGINX)

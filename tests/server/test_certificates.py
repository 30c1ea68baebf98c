"""The certificates that reviews are served with, as clients see them."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import trustme

from tests.server.parts import Parts
from tests.server.process import JSON, serving
from tests.tls.memory_cluster import MANAGED, MemoryCluster
from tests.tools.loopback import unverified
from tests.tools.waiting import until
from webhook.server.certificates import RotatedCertificate, SelfSignedCertificate
from webhook.tls import CertificateError

NAME = "mirrorhook.mirrorhook.svc"


@pytest.fixture
def authority():
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def files(tmp_path, authority):
    write(tmp_path, authority.issue_cert(NAME, "localhost"))
    return tmp_path


def write(folder, issued):
    issued.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    issued.private_key_pem.write_to_path(folder / "tls.key")


def options(folder):
    return ("--tls-cert", str(folder / "tls.crt"), "--tls-key", str(folder / "tls.key"))


def trusting(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def ask(webhook, context, body):
    """Send a review as the API server does: to an address, with the name of the Service."""
    with httpx.Client(verify=context) as client:
        return client.post(
            webhook.reviews + "/mutate",
            content=body,
            headers=JSON,
            extensions={"sni_hostname": NAME},
        )


def test_certificate_from_files_is_served_and_followed(rules, files, authority, review_of):
    with serving(rules, *options(files)) as webhook:
        assert ask(webhook, trusting(authority), review_of("nginx")).status_code == 200
        other = trustme.CA(key_type=trustme.KeyType.ECDSA)
        with webhook.client() as kept:
            kept.post("/mutate", content=review_of("nginx"), headers=JSON)
            (files / "tls.crt").write_text("a file that is half written")
            write(files, other.issue_cert(NAME))
            webhook.wait_for("certificate replaced")
            assert ask(webhook, trusting(other), review_of("nginx")).status_code == 200
            # An open connection goes on with the certificate that it began with.
            kept.post("/mutate", content=review_of("nginx"), headers=JSON)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(webhook, trusting(authority), review_of("nginx"))
        assert webhook.metric('mirrorhook_certificate_reloads_total{result="success"}') == 2


def test_key_that_does_not_match_leaves_the_old_certificate_in_use(
    rules, files, authority, review_of
):
    with serving(rules, *options(files)) as webhook:
        stranger = authority.issue_cert(NAME)
        stranger.cert_chain_pems[0].write_to_path(files / "tls.crt")
        line = webhook.wait_for("certificate refused; the old one stays in use")
        assert "tls.key" in line["problem"]
        assert ask(webhook, trusting(authority), review_of("nginx")).status_code == 200
        assert webhook.metric('mirrorhook_certificate_reloads_total{result="failure"}') == 1


def test_self_signed_certificate_is_for_this_machine(webhook, review_of):
    answer = webhook.review(review_of("nginx"))
    assert answer.status_code == 200
    names = webhook.wait_for("certificate loaded")["names"]
    assert {"localhost", "127.0.0.1", "::1"} <= set(names)
    assert "self-signed certificate" in webhook.said[0]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_offered(webhook, version):
    context = unverified()
    context.minimum_version = context.maximum_version = version
    answer = httpx.get(webhook.reviews + "/mutate", verify=context)
    assert answer.status_code == 405


class Quiet:
    """A watch that reports nothing."""

    problem = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class QuietCluster(MemoryCluster):
    def watch_secret(self, *_):
        return Quiet()

    def watch_webhook_configuration(self, *_):
        return Quiet()


@pytest.mark.anyio
async def test_rotated_certificate_holds_readiness_until_it_is_trusted():
    parts = Parts()
    cluster = QuietCluster()
    cluster.put_bundles({"pods.mirrorhook.io": b""})
    managed = RotatedCertificate(
        MANAGED,
        cluster,
        log=parts.log,
        metrics=parts.metrics,
        readiness=parts.readiness,
        clock=lambda: datetime.now(UTC),
    )
    placeholder = managed.serving.certificate
    assert parts.readiness.problems == ("certificate: it has not been issued yet",)
    following = asyncio.create_task(managed.follow())
    await until(lambda: not parts.readiness.problems)
    following.cancel()
    assert managed.serving.certificate != placeholder
    assert str(managed) == "certificate signed by the CA in Secret mirrorhook/mirrorhook-ca"
    assert managed.context is managed.serving.context
    assert managed.expires_at == managed.serving.certificate.expires_at


@pytest.mark.anyio
async def test_self_signed_certificate_is_replaced_before_it_expires():
    parts = Parts()
    now = begin = datetime.now(UTC)
    slept = []

    async def sleep(seconds):
        nonlocal now
        slept.append(timedelta(seconds=seconds))
        now = begin + timedelta(days=300)
        if len(slept) > 1:
            raise asyncio.CancelledError

    certificate = SelfSignedCertificate(
        log=parts.log, metrics=parts.metrics, clock=lambda: now, sleep=sleep
    )
    old = certificate.serving.certificate
    with pytest.raises(asyncio.CancelledError):
        await certificate.follow()
    assert begin + slept[0] < old.expires_at
    assert certificate.expires_at > old.expires_at


def test_refused_certificate_is_logged_and_the_old_one_stays_in_use():
    parts = Parts()
    certificate = SelfSignedCertificate(
        log=parts.log, metrics=parts.metrics, clock=lambda: datetime.now(UTC)
    )
    old = certificate.serving.certificate
    certificate.use(replace(old, chain=b"-----BEGIN CERTIFICATE-----\n"))
    certificate.use(CertificateError("it is in pieces"))
    assert certificate.serving.certificate is old
    assert [line["level"] for line in parts.lines][-2:] == ["error", "error"]

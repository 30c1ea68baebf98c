from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from webhook.tls import CertificateError, ServingContext
from webhook.tls.ca import create_ca, create_self_signed


def handshake(certificate, authority_pem, name):
    """Connect in memory, with the strictest client that Python makes."""
    client = ssl.create_default_context(cadata=authority_pem.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ends = [ssl.MemoryBIO() for _ in range(2)]
    client_side = client.wrap_bio(*ends, server_hostname=name)
    server_side = ServingContext(certificate).context.wrap_bio(*reversed(ends), server_side=True)
    waiting = [client_side, server_side] * 4
    for side in waiting:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client_side.version()


@pytest.mark.parametrize("name", ["mirrorhook.ns.svc", "localhost", "127.0.0.1", "::1"])
def test_strict_client_trusts_a_self_signed_certificate(name):
    certificate, authority = create_self_signed(
        ["mirrorhook.ns.svc", "localhost", "127.0.0.1", "::1"], now=datetime.now(UTC)
    )
    assert handshake(certificate, authority, name) == "TLSv1.3"


def test_client_does_not_trust_another_name():
    certificate, authority = create_self_signed(["a.b.svc"], now=datetime.now(UTC))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(certificate, authority, "c.b.svc")


def test_two_cas_of_the_same_name_work_in_one_bundle():
    now = datetime.now(UTC)
    old, new = (create_ca("the same", now, timedelta(days=1)) for _ in range(2))
    bundle = old.pem + new.pem
    for authority in (old, new):
        certificate = authority.issue(["a.b.svc"], now, timedelta(hours=1))
        assert handshake(certificate, bundle, "a.b.svc") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certificate, old.pem, "a.b.svc")


def test_certificate_expires_with_its_ca(now):
    authority = create_ca("x", now, timedelta(days=2))
    assert authority.issue(["a"], now, timedelta(days=7)).expires_at == now + timedelta(days=2)


def test_long_host_name_is_not_in_the_subject(now):
    name = f"{'a' * 60}.{'b' * 60}.svc"
    certificate, _ = create_self_signed([name], now=now)
    subject = x509.load_pem_x509_certificate(certificate.chain).subject
    assert certificate.names == (name,)
    assert subject.rfc4514_string() == "CN=mirrorhook"


def test_invalid_name_is_refused(now):
    with pytest.raises(CertificateError, match=r"cannot contain the name 'bücher\.example'"):
        create_self_signed(["bücher.example"], now=now)


def test_each_certificate_has_a_new_key(now):
    certificates = [create_self_signed(["a"], now=now)[0] for _ in range(2)]
    assert certificates[0].key != certificates[1].key
    assert certificates[0].fingerprint != certificates[1].fingerprint


def test_repr_of_a_ca_hides_its_key(now):
    assert "key" not in repr(create_ca("x", now, timedelta(days=1)))

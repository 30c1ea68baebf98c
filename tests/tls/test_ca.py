from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from webhook.tls import CertificateError, ServingContext
from webhook.tls.ca import create_ca, create_self_signed


def handshake(pair, authority_pem, name):
    """Connect in memory, with the strictest client that Python makes."""
    client = ssl.create_default_context(cadata=authority_pem.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ends = [ssl.MemoryBIO() for _ in range(2)]
    client_side = client.wrap_bio(*ends, server_hostname=name)
    server_side = ServingContext(pair).context.wrap_bio(*reversed(ends), server_side=True)
    waiting = [client_side, server_side] * 4
    for side in waiting:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client_side.version()


@pytest.mark.parametrize("name", ["mirrorhook.ns.svc", "localhost", "127.0.0.1", "::1"])
def test_a_strict_client_trusts_what_is_self_signed(name):
    pair, authority = create_self_signed(
        ["mirrorhook.ns.svc", "localhost", "127.0.0.1", "::1"], now=datetime.now(UTC)
    )
    assert handshake(pair, authority, name) == "TLSv1.3"


def test_no_client_trusts_it_for_another_name():
    pair, authority = create_self_signed(["a.b.svc"], now=datetime.now(UTC))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(pair, authority, "c.b.svc")


def test_two_authorities_of_one_name_in_one_bundle_are_told_apart():
    now = datetime.now(UTC)
    old, new = (create_ca("the same", now, timedelta(days=1)) for _ in range(2))
    bundle = old.pem + new.pem
    for authority in (old, new):
        pair = authority.issue(["a.b.svc"], now, timedelta(hours=1))
        assert handshake(pair, bundle, "a.b.svc") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(pair, old.pem, "a.b.svc")


def test_a_certificate_never_outlives_its_authority(now):
    authority = create_ca("x", now, timedelta(days=2))
    assert authority.issue(["a"], now, timedelta(days=7)).expires_at == now + timedelta(days=2)


def test_a_long_host_name_is_for_the_alternative_names_alone(now):
    name = f"{'a' * 60}.{'b' * 60}.svc"
    pair, _ = create_self_signed([name], now=now)
    subject = x509.load_pem_x509_certificate(pair.chain).subject
    assert pair.names == (name,)
    assert subject.rfc4514_string() == "CN=mirrorhook"


def test_a_name_that_can_stand_in_no_certificate_is_refused(now):
    with pytest.raises(CertificateError, match=r"cannot contain the name 'bücher\.example'"):
        create_self_signed(["bücher.example"], now=now)


def test_keys_are_new_each_time(now):
    pairs = [create_self_signed(["a"], now=now)[0] for _ in range(2)]
    assert pairs[0].key != pairs[1].key
    assert pairs[0].fingerprint != pairs[1].fingerprint


def test_private_keys_of_authorities_are_not_in_what_is_printed(now):
    assert "key" not in repr(create_ca("x", now, timedelta(days=1)))

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from webhook.tls import Certificate, CertificateError
from webhook.tls.ca import create_self_signed

HOST = x509.SubjectAlternativeName([x509.DNSName("a.b.svc")])


def test_a_pair_tells_what_it_is_for_and_how_long(pair, now):
    assert pair.names == ("mirrorhook.mirrorhook.svc",)
    assert pair.valid_from == now - timedelta(minutes=5)
    assert pair.expires_at == now + timedelta(days=365)
    assert len(bytes.fromhex(pair.fingerprint)) == 32


def test_a_pair_reads_itself(pair):
    assert Certificate.parse(pair.chain, pair.key) == pair


def test_the_key_is_not_in_what_is_printed(pair):
    assert "PRIVATE" not in repr(pair)


def test_a_chain_is_kept_in_order(now):
    pair, authority = create_self_signed(["a"], now=now)
    chain = Certificate.parse(pair.chain + authority, pair.key)
    assert chain.chain == pair.chain + authority
    assert chain.fingerprint == pair.fingerprint


def test_what_stands_beside_the_pem_is_dropped(pair):
    noisy = Certificate.parse(
        b"subject=CN=x\n" + pair.chain + b"\n\n# end\n",
        b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        + pair.key,
    )
    assert noisy == pair


def test_keys_of_rsa_in_the_old_form_are_read(make_certificate):
    made = make_certificate(HOST, key=rsa.generate_private_key(65537, 2048))
    assert b"BEGIN RSA PRIVATE KEY" in made.key
    assert Certificate.parse(made.certificate, made.key).names == ("a.b.svc",)


def test_addresses_are_names_too(now):
    pair, _ = create_self_signed(["a.b", "127.0.0.1", "::1"], now=now)
    assert pair.names == ("a.b", "127.0.0.1", "::1")


def refusal(certificate, key):
    with pytest.raises(CertificateError) as caught:
        Certificate.parse(certificate, key, chain_source="/t/tls.crt", key_source="/t/tls.key")
    return str(caught.value)


def test_a_key_of_another_pair_is_refused(pair, other_pair):
    assert refusal(pair.chain, other_pair.key) == (
        "/t/tls.key does not match /t/tls.crt: it is the key of another certificate"
    )


def test_a_chain_in_the_wrong_order_is_refused(now):
    pair, authority = create_self_signed(["a"], now=now)
    assert refusal(authority + pair.chain, pair.key) == (
        "/t/tls.key matches certificate 2 of /t/tls.crt: "
        "put that certificate first, and those of its CAs after it"
    )


@pytest.mark.parametrize("text", [b"", b"\n", b"not a certificate", b"\xff\x00"])
def test_a_file_without_a_certificate_is_refused(pair, text):
    assert refusal(text, pair.key) == (
        '/t/tls.crt contains no PEM certificate ("-----BEGIN CERTIFICATE-----")'
    )


@pytest.mark.parametrize("text", [b"", b"\n", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_file_without_a_key_is_refused(pair, text):
    assert refusal(pair.chain, text) == (
        '/t/tls.key contains no PEM private key ("-----BEGIN PRIVATE KEY-----")'
    )


def test_half_a_certificate_is_refused(pair):
    half = pair.chain[: len(pair.chain) // 2]
    assert refusal(half, pair.key).startswith("/t/tls.crt contains an invalid certificate: ")


def test_half_a_key_is_refused(pair):
    half = pair.key[: len(pair.key) // 2]
    assert refusal(pair.chain, half).startswith("/t/tls.key contains an invalid private key: ")


def test_a_key_under_a_passphrase_is_refused(make_certificate):
    made = make_certificate(HOST)
    assert refusal(made.certificate, made.locked_key) == (
        "/t/tls.key is protected by a passphrase; use a key without one"
    )


def test_a_certificate_without_alternative_names_is_refused(make_certificate):
    made = make_certificate()
    assert refusal(made.certificate, made.key) == (
        "/t/tls.crt has no subject alternative name, so no API server trusts it; "
        "it needs DNS:SERVICE.NAMESPACE.svc"
    )


def test_a_certificate_for_no_host_is_refused(make_certificate):
    names = x509.SubjectAlternativeName([x509.RFC822Name("a@example.com")])
    made = make_certificate(names)
    assert refusal(made.certificate, made.key) == (
        "/t/tls.crt has no host name or address among its subject alternative names; "
        "it needs DNS:SERVICE.NAMESPACE.svc"
    )


def test_a_certificate_with_broken_extensions_is_refused(make_certificate):
    names = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x00")
    made = make_certificate(names)
    assert refusal(made.certificate, made.key).startswith(
        "/t/tls.crt contains an invalid certificate: "
    )


@pytest.mark.parametrize(
    ("offset", "problem"),
    [
        (timedelta(0), None),
        (timedelta(days=365, seconds=-1), None),
        (timedelta(days=365), "expired on 2027-11-25 12:00:00 UTC"),
        (timedelta(days=800), "expired on 2027-11-25 12:00:00 UTC"),
        (timedelta(minutes=-9), None),  # the clock of this machine is a bit behind
        (timedelta(minutes=-11), "is not valid before 2026-11-25 11:55:00 UTC"),
    ],
)
def test_a_pair_has_its_time(pair, now, offset, problem):
    assert pair.problem_at(now + offset) == problem

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from webhook.tls import Certificate, CertificateError
from webhook.tls.ca import create_self_signed

HOST = x509.SubjectAlternativeName([x509.DNSName("a.b.svc")])


def test_certificate_has_names_and_dates(certificate, now):
    assert certificate.names == ("mirrorhook.mirrorhook.svc",)
    assert certificate.valid_from == now - timedelta(minutes=5)
    assert certificate.expires_at == now + timedelta(days=365)
    assert len(bytes.fromhex(certificate.fingerprint)) == 32


def test_parsed_certificate_parses_to_itself(certificate):
    assert Certificate.parse(certificate.chain, certificate.key) == certificate


def test_repr_of_a_certificate_hides_its_key(certificate):
    assert "PRIVATE" not in repr(certificate)


def test_chain_keeps_its_order(now):
    certificate, authority = create_self_signed(["a"], now=now)
    parsed = Certificate.parse(certificate.chain + authority, certificate.key)
    assert parsed.chain == certificate.chain + authority
    assert parsed.fingerprint == certificate.fingerprint


def test_text_around_the_pem_is_dropped(certificate):
    noisy = Certificate.parse(
        b"subject=CN=x\n" + certificate.chain + b"\n\n# end\n",
        b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        + certificate.key,
    )
    assert noisy == certificate


def test_rsa_key_in_the_old_format_is_parsed(make_certificate):
    made = make_certificate(HOST, key=rsa.generate_private_key(65537, 2048))
    assert b"BEGIN RSA PRIVATE KEY" in made.key
    assert Certificate.parse(made.certificate, made.key).names == ("a.b.svc",)


def test_names_include_addresses(now):
    certificate, _ = create_self_signed(["a.b", "127.0.0.1", "::1"], now=now)
    assert certificate.names == ("a.b", "127.0.0.1", "::1")


def refusal(chain, key):
    with pytest.raises(CertificateError) as caught:
        Certificate.parse(chain, key, chain_source="/t/tls.crt", key_source="/t/tls.key")
    return str(caught.value)


def test_key_of_another_certificate_is_refused(certificate, other_certificate):
    assert refusal(certificate.chain, other_certificate.key) == (
        "/t/tls.key does not match /t/tls.crt: it is the key of another certificate; "
        "use the files of one certificate"
    )


def test_chain_in_the_wrong_order_is_refused(now):
    certificate, authority = create_self_signed(["a"], now=now)
    assert refusal(authority + certificate.chain, certificate.key) == (
        "/t/tls.key matches certificate 2 of /t/tls.crt: "
        "put that certificate first, and those of its CAs after it"
    )


@pytest.mark.parametrize("text", [b"", b"\n", b"not a certificate", b"\xff\x00"])
def test_file_without_a_certificate_is_refused(certificate, text):
    assert refusal(text, certificate.key) == (
        '/t/tls.crt contains no certificate ("-----BEGIN CERTIFICATE-----"); give one in PEM'
    )


@pytest.mark.parametrize("text", [b"", b"\n", b"-----BEGIN CERTIFICATE-----\n"])
def test_file_without_a_key_is_refused(certificate, text):
    assert refusal(certificate.chain, text) == (
        '/t/tls.key contains no private key ("-----BEGIN PRIVATE KEY-----"); give one in PEM'
    )


def test_half_a_certificate_is_refused(certificate):
    half = certificate.chain[: len(certificate.chain) // 2]
    assert refusal(half, certificate.key).startswith("/t/tls.crt contains an invalid certificate: ")


def test_half_a_key_is_refused(certificate):
    half = certificate.key[: len(certificate.key) // 2]
    assert refusal(certificate.chain, half).startswith(
        "/t/tls.key contains an invalid private key: "
    )


def test_key_with_a_passphrase_is_refused(make_certificate):
    made = make_certificate(HOST)
    assert refusal(made.certificate, made.locked_key) == (
        "/t/tls.key is protected by a passphrase; use a key without one"
    )


def test_certificate_without_alternative_names_is_refused(make_certificate):
    made = make_certificate()
    assert refusal(made.certificate, made.key) == (
        "/t/tls.crt has no subject alternative name, so no API server trusts it; "
        "it needs DNS:SERVICE.NAMESPACE.svc"
    )


def test_certificate_without_a_host_is_refused(make_certificate):
    names = x509.SubjectAlternativeName([x509.RFC822Name("a@example.com")])
    made = make_certificate(names)
    assert refusal(made.certificate, made.key) == (
        "/t/tls.crt has no host name or address among its subject alternative names; "
        "it needs DNS:SERVICE.NAMESPACE.svc"
    )


def test_certificate_with_broken_extensions_is_refused(make_certificate):
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
def test_certificate_has_a_problem_outside_its_lifetime(certificate, now, offset, problem):
    assert certificate.problem_at(now + offset) == problem

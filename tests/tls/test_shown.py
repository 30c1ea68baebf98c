"""What OpenSSL tells of a pair is what cryptography finds in it."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from webhook.tls.issuing import new_authority, self_signed
from webhook.tls.pair import KeyPair
from webhook.tls.parsing import parsed_pair
from webhook.tls.shown import shown_by

HOST = x509.SubjectAlternativeName([x509.DNSName("a.b.svc")])
NAMES = [
    ["mirrorhook.mirrorhook.svc"],
    ["a.b", "*.c.d", "127.0.0.1", "10.0.0.7", "::1", "fd00:0:0:1::5"],
    ["::ffff:1.2.3.4"],
]


def parsed(certificate, key):
    return parsed_pair(certificate, key, "the certificate", "the key")


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("days", [-400, 0, 400])
def test_both_see_the_same_whatever_the_date(now, names, days):
    pair, authority = self_signed(names, now=now + timedelta(days=days))
    for chain in (pair.certificate, pair.certificate + authority):
        assert KeyPair(*shown_by(chain, pair.key)) == parsed(chain, pair.key)


def test_keys_of_rsa_are_seen_the_same(make_certificate):
    key = rsa.generate_private_key(65537, 2048)
    made = make_certificate(HOST, key=key)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert KeyPair(*shown_by(made.certificate, pem)) == parsed(made.certificate, pem)


def test_what_is_unusual_or_wrong_is_left_to_the_other(pair, other_pair, make_certificate, now):
    made = make_certificate(HOST)
    authority = new_authority("x", now, timedelta(days=1)).pem
    for certificate, key in (
        (pair.certificate, other_pair.key),
        (authority + pair.certificate, pair.key),
        (pair.certificate, b""),
        (b"", pair.key),
        (pair.certificate[:300] + pair.certificate[-30:], pair.key),
        (pair.certificate, pair.key + pair.key),
        (made.certificate, made.locked_key),
        (make_certificate().certificate, made.key),
    ):
        assert shown_by(certificate, key) is None


def test_a_usual_pair_is_read_without_cryptography(pair):
    code = (
        "import sys; from webhook.tls import KeyPair; "
        f"KeyPair.read({pair.certificate!r}, {pair.key!r}); "
        "print([name for name in sys.modules if name.startswith('cryptography')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"[]\n"

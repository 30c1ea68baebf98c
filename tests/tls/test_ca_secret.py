from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from webhook.tls.ca import create_ca
from webhook.tls.ca_secret import (
    CASecret,
    encode_bundle,
    is_past_two_thirds,
    is_valid,
    parse_bundle,
)

DAY = timedelta(days=1)
AUTHORITY = (
    x509.BasicConstraints(ca=True, path_length=0),
    x509.SubjectKeyIdentifier(b"12345678"),
)


@pytest.fixture
def authorities(now):
    return [create_ca(f"CA {i}", now + i * DAY, 10 * DAY) for i in range(3)]


def test_secret_is_parsed_as_it_was_encoded(authorities):
    stored = CASecret().merge(authorities=authorities)
    read = CASecret.parse(stored.encode())
    assert read.certificates == stored.certificates
    assert [each.key_pem for each in read.authorities] == [each.key_pem for each in authorities]


def test_cas_are_sorted_by_age(authorities):
    stored = CASecret().merge(authorities=reversed(authorities))
    assert stored.certificates == tuple(each.certificate for each in authorities)
    assert stored.authorities == tuple(authorities)


def test_merge_adds_nothing_twice(authorities):
    stored = CASecret().merge(authorities=authorities)
    again = stored.merge(stored.certificates, authorities[:1])
    assert again.certificates == stored.certificates
    assert len(again.authorities) == 3


def test_ca_without_a_key_is_trusted_but_does_not_sign(authorities):
    first, second, _ = authorities
    stored = CASecret().merge([first.certificate], [second])
    assert stored.certificates == (first.certificate, second.certificate)
    assert stored.authorities == (second,)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"ca.crt": b"", "ca.key": b""},
        {"ca.crt": b"\n", "ca.key": b"\xff\xfe"},
        {"ca.crt": b"garbage", "ca.key": b"garbage"},
        {"ca.crt": b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"},
        {"ca.key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"},
        {"tls.crt": b"something else"},
    ],
)
def test_damaged_secret_has_no_cas(data):
    assert CASecret.parse(data) == CASecret()


def test_readable_part_of_a_damaged_secret_is_parsed(authorities):
    contents = CASecret().merge(authorities=authorities).encode()
    damaged = {
        "ca.crt": b"#\n" + contents["ca.crt"][:-40],
        "ca.key": contents["ca.key"].replace(b"\n", b"\r\n") + b"-----BEGIN",
    }
    stored = CASecret.parse(damaged)
    assert stored.certificates == tuple(each.certificate for each in authorities[:2])
    assert len(stored.authorities) == 2


def test_unrelated_key_does_not_sign(authorities, now):
    stranger = create_ca("stranger", now, DAY)
    data = {"ca.crt": authorities[0].pem, "ca.key": stranger.key_pem}
    assert CASecret.parse(data) == CASecret((authorities[0].certificate,))


@pytest.mark.parametrize(
    "extensions",
    [
        (),
        AUTHORITY[:1],
        AUTHORITY[1:],
        (x509.BasicConstraints(ca=False, path_length=None), AUTHORITY[1]),
        (x509.UnrecognizedExtension(x509.BasicConstraints.oid, b"\x00"), AUTHORITY[1]),
    ],
)
def test_certificate_that_is_not_a_ca_does_not_sign(make_certificate, extensions):
    made = make_certificate(*extensions)
    stored = CASecret.parse({"ca.crt": made.certificate, "ca.key": made.key})
    assert len(stored.certificates) == 1
    assert stored.authorities == ()


def test_ca_of_another_tool_signs(make_certificate):
    made = make_certificate(*AUTHORITY)
    stored = CASecret.parse({"ca.crt": made.certificate, "ca.key": made.key})
    assert len(stored.authorities) == 1


def test_key_of_another_kind_does_not_sign(make_certificate):
    made = make_certificate(*AUTHORITY, key=rsa.generate_private_key(65537, 2048))
    stored = CASecret.parse({"ca.crt": made.certificate, "ca.key": made.key})
    assert stored.authorities == ()


def test_bundle_is_parsed_in_any_order_and_spacing(authorities):
    certificates = tuple(each.certificate for each in authorities)
    text = b"\n\n# three\n".join(each.pem for each in reversed(authorities))
    assert parse_bundle(text) == certificates
    assert parse_bundle(text + text) == certificates
    assert parse_bundle(encode_bundle(certificates)) == certificates


def test_cas_are_usable_within_their_lifetime(authorities, now):
    stored = CASecret().merge(authorities=authorities)
    assert stored.find_usable(now) == stored.authorities[:1]
    assert stored.find_usable(now + 5 * DAY) == stored.authorities
    assert stored.find_usable(now + 11 * DAY) == stored.authorities[2:]


def test_is_valid_includes_the_start_and_excludes_the_end(authorities, now):
    certificate = authorities[0].certificate
    start = now - timedelta(minutes=5)
    assert not is_valid(certificate, start - timedelta(seconds=1))
    assert is_valid(certificate, start)
    assert is_valid(certificate, now + 10 * DAY - timedelta(seconds=1))
    assert not is_valid(certificate, now + 10 * DAY)


@pytest.mark.parametrize(("days", "past"), [(0, False), (5, False), (6, True), (9, True)])
def test_is_past_two_thirds(now, days, past):
    assert is_past_two_thirds(now, now + 9 * DAY, now + days * DAY) is past

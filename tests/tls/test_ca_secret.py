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


def test_what_is_written_is_read(authorities):
    stored = CASecret().merge(authorities=authorities)
    read = CASecret.parse(stored.encode())
    assert read.certificates == stored.certificates
    assert [each.key_pem for each in read.authorities] == [each.key_pem for each in authorities]


def test_authorities_are_in_the_order_of_their_age(authorities):
    stored = CASecret().merge(authorities=reversed(authorities))
    assert stored.certificates == tuple(each.certificate for each in authorities)
    assert stored.authorities == tuple(authorities)


def test_merging_adds_nothing_twice(authorities):
    stored = CASecret().merge(authorities=authorities)
    again = stored.merge(stored.certificates, authorities[:1])
    assert again.certificates == stored.certificates
    assert len(again.authorities) == 3


def test_what_has_no_key_is_trusted_but_does_not_sign(authorities):
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
def test_a_spoilt_secret_holds_nothing(data):
    assert CASecret.parse(data) == CASecret()


def test_what_is_left_of_a_spoilt_secret_is_found(authorities):
    contents = CASecret().merge(authorities=authorities).encode()
    spoilt = {
        "ca.crt": b"#\n" + contents["ca.crt"][:-40],
        "ca.key": contents["ca.key"].replace(b"\n", b"\r\n") + b"-----BEGIN",
    }
    stored = CASecret.parse(spoilt)
    assert stored.certificates == tuple(each.certificate for each in authorities[:2])
    assert len(stored.authorities) == 2


def test_keys_of_others_do_not_sign(authorities, now):
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
def test_what_is_no_authority_does_not_sign(make_certificate, extensions):
    made = make_certificate(*extensions)
    stored = CASecret.parse({"ca.crt": made.certificate, "ca.key": made.key})
    assert len(stored.certificates) == 1
    assert stored.authorities == ()


def test_an_authority_of_somebody_elses_making_signs(make_certificate):
    made = make_certificate(*AUTHORITY)
    stored = CASecret.parse({"ca.crt": made.certificate, "ca.key": made.key})
    assert len(stored.authorities) == 1


def test_keys_of_another_kind_do_not_sign(make_certificate):
    made = make_certificate(*AUTHORITY, key=rsa.generate_private_key(65537, 2048))
    stored = CASecret.parse({"ca.crt": made.certificate, "ca.key": made.key})
    assert stored.authorities == ()


def test_a_bundle_is_read_whatever_its_order_and_spacing(authorities):
    certificates = tuple(each.certificate for each in authorities)
    text = b"\n\n# three\n".join(each.pem for each in reversed(authorities))
    assert parse_bundle(text) == certificates
    assert parse_bundle(text + text) == certificates
    assert parse_bundle(encode_bundle(certificates)) == certificates


def test_authorities_are_usable_within_their_life(authorities, now):
    stored = CASecret().merge(authorities=authorities)
    assert stored.find_usable(now) == stored.authorities[:1]
    assert stored.find_usable(now + 5 * DAY) == stored.authorities
    assert stored.find_usable(now + 11 * DAY) == stored.authorities[2:]


def test_a_life_has_a_first_and_a_last_moment(authorities, now):
    certificate = authorities[0].certificate
    start = now - timedelta(minutes=5)
    assert not is_valid(certificate, start - timedelta(seconds=1))
    assert is_valid(certificate, start)
    assert is_valid(certificate, now + 10 * DAY - timedelta(seconds=1))
    assert not is_valid(certificate, now + 10 * DAY)


@pytest.mark.parametrize(("days", "past"), [(0, False), (5, False), (6, True), (9, True)])
def test_two_thirds_of_a_life(now, days, past):
    assert is_past_two_thirds(now, now + 9 * DAY, now + days * DAY) is past

"""The decisions, as tables: what is in the cluster, the time, and what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from webhook.tls.ca import create_ca
from webhook.tls.ca_secret import CASecret, encode_bundle, get_fingerprint, parse_bundle
from webhook.tls.rotation import IssuedCertificate, PublishedCAs, Rotation

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ROTATION = Rotation()

# By the day on which they were made, seen from NOW; each lives for a year.
OLD = create_ca("old", NOW - 250 * DAY, ROTATION.ca_lifetime)
YOUNG = create_ca("young", NOW - 10 * DAY, ROTATION.ca_lifetime)
FRESH = create_ca("fresh", NOW, ROTATION.ca_lifetime)
SETTLED = create_ca("settled", NOW - 100 * DAY, ROTATION.ca_lifetime)
EXPIRED = create_ca("expired", NOW - 400 * DAY, ROTATION.ca_lifetime)
FUTURE = create_ca("future", NOW + 300 * DAY, ROTATION.ca_lifetime)
NAMES = {
    each.certificate: name
    for name, each in {
        "old": OLD,
        "young": YOUNG,
        "fresh": FRESH,
        "settled": SETTLED,
        "expired": EXPIRED,
        "future": FUTURE,
    }.items()
}


def stored(*authorities, trusted=()):
    certificates = [each.certificate for each in trusted]
    return CASecret().merge(certificates, authorities)


def published(*authorities):
    return PublishedCAs.parse({"a": encode_bundle(each.certificate for each in authorities)})


def change(secret, known, now=NOW, proven=None):
    """What is trusted has been so for long, unless said otherwise."""
    proven = known.trusted if proven is None else proven
    return ROTATION.plan_secret_change(secret, known, proven, now)


def names(some):
    return [NAMES[certificate] for certificate in some.certificates]


NOTHING = published()


@pytest.mark.parametrize(
    ("secret", "known", "kept", "reason"),
    [
        pytest.param(stored(), NOTHING, [], "no CA that can sign", id="first start"),
        pytest.param(
            stored(),
            published(SETTLED, OLD),
            ["old", "settled"],
            "no CA that can sign",
            id="Secret deleted",
        ),
        pytest.param(
            stored(trusted=[SETTLED]),
            published(OLD),
            ["old", "settled"],
            "no CA that can sign",
            id="key lost",
        ),
        pytest.param(
            stored(EXPIRED),
            published(EXPIRED),
            ["expired"],
            "no CA that can sign",
            id="all expired, or a clock far ahead",
        ),
        pytest.param(
            stored(FUTURE),
            published(FUTURE),
            ["future"],
            "no CA that can sign",
            id="a clock far behind",
        ),
        pytest.param(
            stored(OLD), published(OLD), ["old"], "past two thirds of its lifetime", id="old"
        ),
        pytest.param(
            stored(OLD, FUTURE),
            published(OLD),
            ["old", "future"],
            "past two thirds of its lifetime",
            id="old, and another replica's clock was ahead",
        ),
        pytest.param(
            stored(EXPIRED, OLD),
            NOTHING,
            ["expired", "old"],
            "two thirds",
            id="two old ones",
        ),
    ],
)
def test_secret_gets_a_new_ca(secret, known, kept, reason):
    made = change(secret, known)
    assert made.add_ca
    assert names(made.keep) == kept
    assert reason in made.reason


@pytest.mark.parametrize(
    ("secret", "known", "kept", "reason"),
    [
        pytest.param(
            stored(SETTLED),
            published(YOUNG, SETTLED),
            ["settled", "young"],
            "a CA that is missing from it",
            id="an old Secret was restored",
        ),
        pytest.param(
            stored(OLD),
            published(SETTLED),
            ["old", "settled"],
            "a CA that is missing from it",
            id="a very old Secret was restored",
        ),
        pytest.param(
            stored(FRESH),
            published(SETTLED, FRESH),
            ["settled", "fresh"],
            "a CA that is missing from it",
            id="the Secret was made by a replica that could not see what is published",
        ),
        pytest.param(
            stored(OLD, SETTLED),
            published(OLD, SETTLED),
            ["settled"],
            "no certificate of its old CA can still be in use",
            id="the old one is replaced for long",
        ),
        pytest.param(
            stored(SETTLED, trusted=[EXPIRED, OLD]),
            published(SETTLED),
            ["settled"],
            "no certificate of its old CA",
            id="old ones without keys",
        ),
        pytest.param(
            stored(OLD, SETTLED, FUTURE),
            published(OLD, SETTLED),
            ["settled", "future"],
            "no certificate of its old CA",
            id="what another clock has made stays",
        ),
    ],
)
def test_secret_gets_other_cas(secret, known, kept, reason):
    made = change(secret, known)
    assert not made.add_ca
    assert names(made.keep) == kept
    assert reason in made.reason


@pytest.mark.parametrize(
    ("secret", "known"),
    [
        pytest.param(stored(FRESH), NOTHING, id="new"),
        pytest.param(stored(YOUNG), published(YOUNG), id="all is well"),
        pytest.param(stored(OLD, FRESH), published(OLD), id="rotated, not published"),
        pytest.param(stored(OLD, FRESH), published(OLD, FRESH), id="rotated"),
        pytest.param(stored(OLD, YOUNG), published(OLD, YOUNG), id="rotated of late"),
        pytest.param(stored(OLD, SETTLED), published(OLD), id="publishing has failed all the time"),
        pytest.param(stored(OLD, SETTLED), NOTHING, id="the configuration is gone or not readable"),
        pytest.param(stored(YOUNG), published(YOUNG, OLD), id="an older one is published"),
        pytest.param(stored(YOUNG), published(YOUNG, FUTURE), id="one for later is published"),
    ],
)
def test_secret_stays_unchanged(secret, known):
    assert change(secret, known) is None


def test_ca_is_replaced_at_two_thirds_of_its_lifetime():
    secret = stored(FRESH)
    start = FRESH.certificate.not_valid_before_utc
    end = FRESH.certificate.not_valid_after_utc
    due = start + (end - start) * 2 / 3
    assert change(secret, NOTHING, due - HOUR) is None
    assert change(secret, NOTHING, due).add_ca


def test_old_ca_is_removed_after_the_overlap():
    secret = stored(OLD, FRESH)
    known = published(OLD, FRESH)
    end = NOW + ROTATION.overlap
    assert change(secret, known, end - HOUR) is None
    assert change(secret, known, end, proven=()) is None
    assert names(change(secret, known, end).keep) == ["fresh"]


def test_secret_holds_a_limited_number_of_cas():
    many = [create_ca(str(i), NOW - i * HOUR, 2 * HOUR) for i in range(3, 20)]
    made = change(stored(*many), NOTHING)
    assert made.add_ca
    assert len(made.keep.certificates) == 7
    assert set(made.keep.certificates) == {each.certificate for each in many[:7]}


def test_published_cas_beyond_the_limit_are_not_added_again():
    many = [create_ca(str(i), NOW - i * HOUR, 48 * HOUR) for i in range(10)]
    assert change(stored(*many[:8]), published(*many)) is None
    made = change(stored(*many[1:9]), published(*many))
    assert set(made.keep.certificates) == {each.certificate for each in many[:8]}


@pytest.mark.parametrize(
    ("secret", "bundles", "expected"),
    [
        pytest.param(stored(YOUNG), {"a": b""}, [YOUNG], id="first"),
        pytest.param(stored(YOUNG), {"a": b"\n"}, [YOUNG], id="a chart's placeholder"),
        pytest.param(stored(YOUNG), {"a": b"garbage"}, [YOUNG], id="garbage"),
        pytest.param(stored(YOUNG), {"a": YOUNG.pem, "b": b""}, [YOUNG], id="one of two"),
        pytest.param(stored(OLD, FRESH), {"a": OLD.pem}, [OLD, FRESH], id="rotation"),
        pytest.param(stored(YOUNG), {"a": OLD.pem + YOUNG.pem}, [YOUNG], id="the old one is to go"),
        pytest.param(
            stored(YOUNG, trusted=[SETTLED]),
            {"a": b""},
            [SETTLED, YOUNG],
            id="one without a key",
        ),
    ],
)
def test_ca_bundle_holds_the_cas_of_the_secret(secret, bundles, expected):
    bundle = ROTATION.plan_ca_bundle(secret, bundles, NOW)
    assert bundle == b"".join(each.pem for each in expected)


@pytest.mark.parametrize(
    ("secret", "bundles"),
    [
        pytest.param(stored(YOUNG), {"a": YOUNG.pem}, id="all is well"),
        pytest.param(stored(YOUNG), {"a": YOUNG.pem.strip()}, id="spacing"),
        pytest.param(stored(OLD, YOUNG), {"a": YOUNG.pem + b"\n" + OLD.pem}, id="order"),
        pytest.param(stored(), {"a": b""}, id="no CA yet"),
        pytest.param(stored(trusted=[OLD]), {"a": YOUNG.pem}, id="none that signs"),
        pytest.param(stored(EXPIRED), {"a": YOUNG.pem}, id="an expired one only"),
    ],
)
def test_ca_bundle_stays_unchanged(secret, bundles):
    assert ROTATION.plan_ca_bundle(secret, bundles, NOW) is None


def leaf(authority, age=HOUR):
    made = NOW - age
    certificate = authority.issue(
        ["mirrorhook.mirrorhook.svc"], made, ROTATION.certificate_lifetime
    )
    return IssuedCertificate(certificate, authority.certificate)


def sign(secret, known, used, settled=(), now=NOW):
    marks = {get_fingerprint(each.certificate) for each in settled}
    choice = ROTATION.choose_ca(secret, known, marks, used, now)
    return choice and (NAMES[choice[0].certificate], choice[1])


BOTH = stored(OLD, FRESH)


@pytest.mark.parametrize(
    ("secret", "known", "used", "settled", "expected"),
    [
        pytest.param(
            stored(FRESH), None, None, (), ("fresh", "no certificate yet"), id="first start"
        ),
        pytest.param(
            BOTH,
            published(OLD),
            None,
            (),
            ("old", "no certificate yet"),
            id="the published one first",
        ),
        pytest.param(
            BOTH,
            published(OLD, FRESH),
            None,
            (),
            ("fresh", "no certificate yet"),
            id="a new replica need not wait",
        ),
        pytest.param(
            BOTH, NOTHING, None, (), ("fresh", "no certificate yet"), id="the newest if none is"
        ),
        pytest.param(
            BOTH,
            published(OLD, FRESH),
            leaf(OLD),
            (OLD, FRESH),
            ("fresh", "a newer CA"),
            id="rotation",
        ),
        pytest.param(
            stored(FRESH, trusted=[SETTLED]),
            published(SETTLED, FRESH),
            leaf(SETTLED),
            (SETTLED, FRESH),
            ("fresh", "a newer CA"),
            id="the Secret was deleted",
        ),
        pytest.param(
            stored(FRESH),
            published(FRESH),
            leaf(SETTLED),
            (),
            ("fresh", "no longer trusted"),
            id="the old CA is gone all at once",
        ),
        pytest.param(
            stored(YOUNG),
            published(YOUNG),
            leaf(YOUNG, 5 * DAY),
            (YOUNG,),
            ("young", "two thirds"),
            id="its time has come",
        ),
        pytest.param(
            stored(YOUNG),
            None,
            leaf(YOUNG, 5 * DAY),
            (),
            ("young", "two thirds"),
            id="its time has come, and there is no configuration",
        ),
        pytest.param(
            BOTH,
            published(OLD),
            leaf(OLD, 5 * DAY),
            (OLD,),
            ("old", "two thirds"),
            id="its time has come in mid-rotation",
        ),
        pytest.param(
            stored(SETTLED, trusted=[YOUNG]),
            published(SETTLED, YOUNG),
            leaf(YOUNG, 5 * DAY),
            (SETTLED, YOUNG),
            ("settled", "two thirds"),
            id="an old Secret was restored",
        ),
        pytest.param(
            stored(YOUNG),
            published(YOUNG),
            leaf(YOUNG, 8 * DAY),
            (YOUNG,),
            ("young", "the current certificate expired on"),
            id="the machine was asleep, or its clock jumped",
        ),
        pytest.param(
            stored(SETTLED),
            published(SETTLED),
            leaf(SETTLED, -30 * DAY),
            (SETTLED,),
            ("settled", "the current certificate is not valid before"),
            id="the clock jumped back",
        ),
    ],
)
def test_certificate_is_due(secret, known, used, settled, expected):
    name, reason = sign(secret, known, used, settled)
    assert name == expected[0]
    assert expected[1] in reason


@pytest.mark.parametrize(
    ("secret", "known", "used", "settled"),
    [
        pytest.param(stored(), None, None, (), id="no CA yet"),
        pytest.param(stored(EXPIRED, FUTURE), NOTHING, None, (), id="none that can sign"),
        pytest.param(stored(YOUNG), published(YOUNG), leaf(YOUNG), (YOUNG,), id="well"),
        pytest.param(BOTH, published(OLD), leaf(OLD), (OLD,), id="not published yet"),
        pytest.param(BOTH, published(OLD, FRESH), leaf(OLD), (OLD,), id="published a moment ago"),
        pytest.param(
            stored(FRESH, trusted=[SETTLED]),
            published(SETTLED),
            leaf(SETTLED, 5 * DAY),
            (SETTLED,),
            id="its CA has lost its key, and the new one is not published",
        ),
        pytest.param(BOTH, NOTHING, leaf(OLD), (), id="its CA was taken back, and none is trusted"),
        pytest.param(
            stored(SETTLED, trusted=[YOUNG]),
            published(SETTLED, YOUNG),
            leaf(YOUNG),
            (SETTLED, YOUNG),
            id="an older CA is no reason",
        ),
    ],
)
def test_no_certificate_is_due(secret, known, used, settled):
    assert sign(secret, known, used, settled) is None


def test_no_certificate_is_due_when_its_ca_expires_as_early():
    secret, known = stored(OLD), published(OLD)
    end = OLD.certificate.not_valid_after_utc
    certificate = OLD.issue(["a"], end - HOUR, ROTATION.certificate_lifetime)
    assert certificate.expires_at == end
    used = IssuedCertificate(certificate, OLD.certificate)
    assert sign(secret, known, used, (OLD,), now=end - timedelta(minutes=1)) is None


def test_trusted_cas_are_in_every_bundle():
    bundles = {"a": OLD.pem + YOUNG.pem, "b": YOUNG.pem + SETTLED.pem}
    known = PublishedCAs.parse(bundles)
    assert known.trusted == {get_fingerprint(YOUNG.certificate)}
    assert known.certificates == parse_bundle(OLD.pem + SETTLED.pem + YOUNG.pem)


def test_overlap_is_well_above_the_certificate_lifetime():
    assert ROTATION.overlap >= 2 * ROTATION.certificate_lifetime
    assert ROTATION.ca_lifetime / 3 > ROTATION.overlap

"""What is to be done next about certificates that all replicas share a CA for.

The CA is in one Secret; each replica signs a certificate of its own with it, in
memory, and the API server trusts the CA by the ``caBundle`` of a
MutatingWebhookConfiguration. No replica leads: each one looks at both objects, and
decides by these functions, which are pure and so the same in all of them.

A CA is replaced at two thirds of its life, and nothing is distrusted on the way:

1. The new CA is added to the Secret. The old one stays, with its key.
2. All of the Secret's CAs are published in the configuration.
3. A replica that has seen the new CA there for a while signs with it. Until then, and
   for as long as publishing fails, the old one signs.
4. When every certificate of the old CA has long expired, the old CA leaves the Secret,
   and then the configuration.

A Secret that is lost or spoilt gets a new CA in the same way: what the configuration
trusts goes back into the Secret without its key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from webhook.tls.pair import SKEW, stamp
from webhook.tls.stored import (
    Stored,
    bundle_of,
    certificates_in,
    fingerprint,
    is_valid,
    past_two_thirds,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from cryptography import x509

    from webhook.tls.issuing import Authority
    from webhook.tls.pair import KeyPair

__all__ = [
    "Change",
    "Leaf",
    "Published",
    "Timing",
    "bundle_to_publish",
    "change_of_secret",
    "signing",
]

MAX_CERTIFICATES: Final = 8


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things last.

    Attributes:
        authority_life: Life of a CA.
        leaf_life: Life of a replica's certificate; replaced at two thirds.
        overlap: Time after which a replaced CA is trusted no longer. It has to be
            well above *leaf_life*.
        settling: Seconds that a CA has to be seen published before it signs, as every
            API server has to hear of it.
        proving: Seconds that it has to be seen published before it may be the only one,
            as every replica has to hear of it, and sign anew.
    """

    authority_life: timedelta = timedelta(days=365)
    leaf_life: timedelta = timedelta(days=7)
    overlap: timedelta = timedelta(days=14)
    settling: float = 60.0
    proving: float = 3600.0


@dataclass(frozen=True, slots=True)
class Leaf:
    """The certificate that this replica serves with.

    Attributes:
        pair: The certificate and its key.
        issuer: The CA that has signed it.
    """

    pair: KeyPair
    issuer: x509.Certificate


@dataclass(frozen=True, slots=True)
class Published:
    """What the API server trusts.

    Attributes:
        certificates: Those that any of our webhooks is trusted by.
        trusted: Fingerprints of those that all our webhooks are trusted by.
    """

    certificates: tuple[x509.Certificate, ...] = ()
    trusted: frozenset[str] = frozenset()

    @classmethod
    def read(cls, bundles: Mapping[str, bytes]) -> Published:
        """Read the bundles of a configuration, by webhook; there is at least one."""
        each = [certificates_in(bundle) for bundle in bundles.values()]
        return cls(
            Stored().merged(certificate for some in each for certificate in some).certificates,
            frozenset.intersection(*(frozenset(map(fingerprint, some)) for some in each)),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the Secret.

    Attributes:
        keep: What stays in it, or is taken back into it.
        renew: Whether a new CA is to be added.
        reason: Why, in words.
    """

    keep: Stored
    renew: bool
    reason: str


def change_of_secret(
    stored: Stored,
    published: Published,
    proven: Collection[str],
    now: datetime,
    timing: Timing,
) -> Change | None:
    """Say how the Secret has to change, or None.

    Args:
        stored: What is in it; nothing where there is no Secret.
        published: What the API server trusts, as far as it is known.
        proven: Fingerprints of what it has trusted for so long that all replicas
            must have heard of it.
        now: The time.
        timing: How long things last.
    """
    usable = stored.usable(now)
    if not usable:
        reason = "it holds no CA that can sign now"
        kept = stored.merged(published.certificates)
        return Change(newest_of(kept, MAX_CERTIFICATES - 1), True, reason)
    newest = usable[-1].certificate
    start, end = newest.not_valid_before_utc, newest.not_valid_after_utc
    # Certificates of any other CA that is published may be in use until then.
    young = now < start + SKEW + timing.leaf_life
    lost = [
        each
        for each in published.certificates
        if each not in stored.certificates
        and (young or each.not_valid_before_utc > start)
        and is_valid(each, now)
    ]
    regained = newest_of(stored.merged(lost), MAX_CERTIFICATES)
    if regained != stored:
        reason = "the API server trusts a CA that it does not hold"
        return Change(regained, False, reason)
    if past_two_thirds(start, end, now):
        reason = f"two thirds of the life of its CA are over, which ends on {stamp(end)}"
        return Change(newest_of(stored, MAX_CERTIFICATES - 1), True, reason)
    current = [each for each in stored.certificates if each.not_valid_before_utc >= start]
    established = start + SKEW + timing.overlap <= now and fingerprint(newest) in proven
    if established and stored.only(current) != stored:
        reason = "no certificate of its old CA can be in use any more"
        return Change(stored.only(current), False, reason)
    return None


def newest_of(stored: Stored, count: int) -> Stored:
    """Return *stored* without the oldest where there are more than *count*."""
    return stored.only(stored.certificates[-count:])


def bundle_to_publish(stored: Stored, bundles: Mapping[str, bytes], now: datetime) -> bytes | None:
    """Return the bundle that every webhook should be trusted by, or None if it is.

    A Secret without a CA that can sign says nothing about whom to trust.

    Args:
        stored: What is in the Secret.
        bundles: The bundles of the configuration, by webhook.
        now: The time.
    """
    if not stored.usable(now):
        return None
    if all(certificates_in(each) == stored.certificates for each in bundles.values()):
        return None
    return bundle_of(stored.certificates)


def signing(
    stored: Stored,
    published: Published | None,
    settled: Collection[str],
    leaf: Leaf | None,
    now: datetime,
    timing: Timing,
) -> tuple[Authority, str] | None:
    """Say which CA has to sign a new certificate for this replica now, and why, or None.

    Args:
        stored: What is in the Secret.
        published: What the API server trusts; None where it knows no webhook of ours.
        settled: Fingerprints of what it has trusted for long enough.
        leaf: The certificate in use.
        now: The time.
        timing: How long things last.
    """
    usable = stored.usable(now)
    if not usable:
        return None
    trusted = published.trusted if published else frozenset()
    publicly = [each for each in usable if fingerprint(each.certificate) in trusted]
    best = (publicly or usable)[-1]
    if leaf is None:
        return best, "this replica has none yet"
    problem = leaf.pair.problem_at(now)
    if problem:
        return best, f"the last one {problem}"
    issuer = fingerprint(leaf.issuer)
    if published and issuer not in trusted:
        reason = "the CA of the last one is not trusted any more"
        return (best, reason) if publicly else None
    choices = [each for each in usable if fingerprint(each.certificate) in {issuer, *settled}]
    if not choices:
        return None
    newest = choices[-1]
    expiry = newest.certificate.not_valid_after_utc
    if newest.certificate.not_valid_before_utc > leaf.issuer.not_valid_before_utc:
        return newest, "a newer CA is trusted now"
    due = past_two_thirds(leaf.pair.valid_from, leaf.pair.expires_at, now)
    # Near the end of a CA that cannot be replaced a new one would last no longer.
    if due and min(now + timing.leaf_life, expiry) > leaf.pair.expires_at:
        return newest, "two thirds of the life of the last one are over"
    return None

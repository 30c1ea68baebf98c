"""What to do next with the CA and the certificates: pure decisions, each with its reason.

All replicas share one Secret with the CA. Each replica signs a certificate of its own, in
memory, and the API server trusts the CA by the ``caBundle`` of a
MutatingWebhookConfiguration. There is no leader: each replica reads both objects, and all
decide the same, because these functions are pure.

A CA is replaced at two thirds of its lifetime, and stays trusted on the way:

1. The new CA is added to the Secret. The old one stays, with its key.
2. All CAs of the Secret are published in the configuration.
3. A replica that has seen the new CA published for a while signs with it. Until then, and
   for as long as publishing fails, the old one signs.
4. When every certificate of the old CA has long expired, the old CA is removed from the
   Secret, and then from the configuration.

A Secret that is lost or damaged gets a new CA in the same way: the CAs in the configuration
return to the Secret without their keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from webhook.tls.ca_secret import (
    CASecret,
    encode_bundle,
    get_fingerprint,
    is_past_two_thirds,
    is_valid,
    parse_bundle,
)
from webhook.tls.certificate import CLOCK_SKEW, format_time

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from cryptography import x509

    from webhook.tls.ca import CertificateAuthority
    from webhook.tls.certificate import Certificate

__all__ = ["IssuedCertificate", "PublishedCAs", "Rotation", "SecretChange"]

MAX_CERTIFICATES: Final = 8


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """The certificate that this replica serves with, and the CA that signed it."""

    certificate: Certificate
    issuer: x509.Certificate


@dataclass(frozen=True, slots=True)
class PublishedCAs:
    """The CAs in the webhook configuration.

    Attributes:
        certificates: The CAs that any webhook of the configuration has.
        trusted: Fingerprints of the CAs that all its webhooks have.
    """

    certificates: tuple[x509.Certificate, ...] = ()
    trusted: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, ca_bundles: Mapping[str, bytes]) -> PublishedCAs:
        """Return the CAs in the bundles of a configuration, by webhook; at least one."""
        parsed = [parse_bundle(bundle) for bundle in ca_bundles.values()]
        return cls(
            CASecret().merge(each for bundle in parsed for each in bundle).certificates,
            frozenset.intersection(*(frozenset(map(get_fingerprint, each)) for each in parsed)),
        )


@dataclass(frozen=True, slots=True)
class SecretChange:
    """A change of the Secret.

    Attributes:
        keep: The CAs that stay in it, or return to it.
        add_ca: Whether to add a new CA.
        reason: Why, in words.
    """

    keep: CASecret
    add_ca: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Rotation:
    """The lifetimes, and the decisions that follow from them.

    Attributes:
        ca_lifetime: Lifetime of a CA.
        certificate_lifetime: Lifetime of a replica's certificate, which is replaced at two
            thirds of it.
        overlap: How long a replaced CA stays trusted; well above *certificate_lifetime*.
        settle_seconds: How long a CA must be published before it signs, as every API server
            has to read it first.
        prove_seconds: How long it must be published before it may be the only one, as every
            replica has to read it first, and sign with it.
    """

    ca_lifetime: timedelta = timedelta(days=365)
    certificate_lifetime: timedelta = timedelta(days=7)
    overlap: timedelta = timedelta(days=14)
    settle_seconds: float = 60.0
    prove_seconds: float = 3600.0

    def plan_secret_change(
        self, secret: CASecret, published: PublishedCAs, proven: Collection[str], now: datetime
    ) -> SecretChange | None:
        """Return how to change the Secret, or None if it is right.

        Args:
            secret: The CAs in it; none if there is no Secret.
            published: The CAs in the webhook configuration, as far as they are known.
            proven: Fingerprints of the CAs published for *prove_seconds*.
            now: The time.
        """
        usable = secret.find_usable(now)
        if not usable:
            reason = "it contains no CA that can sign now"
            kept = secret.merge(published.certificates)
            return SecretChange(kept.keep_newest(MAX_CERTIFICATES - 1), True, reason)
        newest = usable[-1].certificate
        start, end = newest.not_valid_before_utc, newest.not_valid_after_utc
        # Until then, certificates of any other published CA may be in use.
        is_young = now < start + CLOCK_SKEW + self.certificate_lifetime
        lost = [
            each
            for each in published.certificates
            if each not in secret.certificates
            and (is_young or each.not_valid_before_utc > start)
            and is_valid(each, now)
        ]
        regained = secret.merge(lost).keep_newest(MAX_CERTIFICATES)
        if regained != secret:
            reason = "the API server trusts a CA that is missing from it"
            return SecretChange(regained, False, reason)
        if is_past_two_thirds(start, end, now):
            reason = f"its CA is past two thirds of its lifetime, and expires on {format_time(end)}"
            return SecretChange(secret.keep_newest(MAX_CERTIFICATES - 1), True, reason)
        current = secret.keep_only(
            each for each in secret.certificates if each.not_valid_before_utc >= start
        )
        is_overlap_over = start + CLOCK_SKEW + self.overlap <= now
        if is_overlap_over and get_fingerprint(newest) in proven and current != secret:
            reason = "no certificate of its old CA can still be in use"
            return SecretChange(current, False, reason)
        return None

    @staticmethod
    def plan_ca_bundle(
        secret: CASecret, ca_bundles: Mapping[str, bytes], now: datetime
    ) -> bytes | None:
        """Return the bundle that every webhook should have, or None if they have it.

        A Secret without a CA that can sign changes nothing.

        Args:
            secret: The CAs in the Secret.
            ca_bundles: The bundles of the configuration, by webhook.
            now: The time.
        """
        if not secret.find_usable(now):
            return None
        if all(parse_bundle(each) == secret.certificates for each in ca_bundles.values()):
            return None
        return encode_bundle(secret.certificates)

    def choose_ca(
        self,
        secret: CASecret,
        published: PublishedCAs | None,
        settled: Collection[str],
        current: IssuedCertificate | None,
        now: datetime,
    ) -> tuple[CertificateAuthority, str] | None:
        """Return the CA to sign a new certificate with now, and why; None if none is due.

        Args:
            secret: The CAs in the Secret.
            published: The CAs in the webhook configuration; None without a configuration.
            settled: Fingerprints of the CAs published for *settle_seconds*.
            current: The certificate in use.
            now: The time.
        """
        usable = secret.find_usable(now)
        if not usable:
            return None
        trusted = published.trusted if published else frozenset()
        trusted_usable = [ca for ca in usable if get_fingerprint(ca.certificate) in trusted]
        best = (trusted_usable or usable)[-1]
        if current is None:
            return best, "this replica has no certificate yet"
        problem = current.certificate.problem_at(now)
        if problem:
            return best, f"the current certificate {problem}"
        issuer = get_fingerprint(current.issuer)
        if published and issuer not in trusted:
            reason = "the CA of the current certificate is no longer trusted"
            return (best, reason) if trusted_usable else None
        choices = [ca for ca in usable if get_fingerprint(ca.certificate) in {issuer, *settled}]
        if not choices:
            return None
        newest = choices[-1]
        if newest.certificate.not_valid_before_utc > current.issuer.not_valid_before_utc:
            return newest, "a newer CA is trusted now"
        start, end = current.certificate.valid_from, current.certificate.expires_at
        expiry = min(now + self.certificate_lifetime, newest.certificate.not_valid_after_utc)
        # Near the end of a CA that cannot be replaced, a new certificate would last no longer.
        if is_past_two_thirds(start, end, now) and expiry > end:
            return newest, "the current certificate is past two thirds of its lifetime"
        return None

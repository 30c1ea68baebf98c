"""Certificate authorities as the Secret holds them, and CA bundles.

``ca.crt`` is the bundle that clients are to trust, oldest first, and ``ca.key`` the
keys of those that still sign. The type of the Secret says that it is ours: a type
cannot be changed, and nobody gives it to a Secret by mistake.

What cannot be read is passed over: a Secret that somebody has emptied or garbled is
filled anew, and what is left of it stays trusted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from webhook.tls.issuing import Authority
from webhook.tls.parsing import encoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

__all__ = [
    "SECRET_TYPE",
    "Stored",
    "bundle_of",
    "certificates_in",
    "contents_of",
    "fingerprint",
    "is_valid",
    "past_two_thirds",
    "stored_in",
]

SECRET_TYPE: Final = "mirrorhook.io/ca"  # noqa: S105 - the type of a Secret is none
CERTIFICATES: Final = "ca.crt"
KEYS: Final = "ca.key"
BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stored:
    """The authorities of a Secret.

    Attributes:
        certificates: Those to be trusted, oldest first.
        authorities: Those of them that can sign, oldest first.
    """

    certificates: tuple[x509.Certificate, ...] = ()
    authorities: tuple[Authority, ...] = ()

    def usable(self, now: datetime) -> tuple[Authority, ...]:
        """Return the authorities that can sign at *now*, oldest first."""
        return tuple(each for each in self.authorities if is_valid(each.certificate, now))

    def merged(
        self,
        certificates: Iterable[x509.Certificate] = (),
        authorities: Iterable[Authority] = (),
    ) -> Stored:
        """Return these and others."""
        signing = {each.certificate: each for each in (*self.authorities, *authorities)}
        trusted = {*self.certificates, *certificates, *signing}
        return Stored(
            tuple(sorted(trusted, key=age)),
            tuple(signing[each] for each in sorted(signing, key=age)),
        )

    def only(self, certificates: Iterable[x509.Certificate]) -> Stored:
        """Return those whose certificates are among *certificates*."""
        kept = set(certificates)
        return Stored(
            tuple(each for each in self.certificates if each in kept),
            tuple(each for each in self.authorities if each.certificate in kept),
        )


def stored_in(data: Mapping[str, bytes]) -> Stored:
    """Read the contents of the Secret.

    Args:
        data: Its contents by key, decoded.
    """
    keys = {encoded(key.public_key()): key for key in keys_in(data.get(KEYS, b""))}
    certificates = certificates_in(data.get(CERTIFICATES, b""))
    return Stored().merged(
        certificates,
        (
            Authority(each, keys[public])
            for each in certificates
            if is_authority(each) and (public := encoded(each.public_key())) in keys
        ),
    )


def contents_of(stored: Stored) -> dict[str, bytes]:
    """Return the contents of the Secret, by key."""
    return {
        CERTIFICATES: bundle_of(stored.certificates),
        KEYS: b"".join(each.key_pem for each in stored.authorities),
    }


def bundle_of(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return certificates in PEM, one after the other."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


@lru_cache(maxsize=16)  # every replica looks at the same few again and again
def certificates_in(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a bundle that can be read, each once, oldest first."""
    found = set()
    for block in BLOCK.finditer(pem):
        try:
            certificate = x509.load_pem_x509_certificate(block[0])
            age(certificate)
            certificate.public_key()
        except Exception:  # noqa: BLE001, S112 - whatever is wrong with it, it is none
            continue
        found.add(certificate)
    return tuple(sorted(found, key=age))


def keys_in(pem: bytes) -> list[ec.EllipticCurvePrivateKey]:
    """Return the private keys of a text that can be read, and are of our kind."""
    found = []
    for block in BLOCK.finditer(pem):
        try:
            key = load_pem_private_key(block[0], password=None)
        except Exception:  # noqa: BLE001, S112 - as above
            continue
        if isinstance(key, ec.EllipticCurvePrivateKey):
            found.append(key)
    return found


@lru_cache(maxsize=64)
def is_authority(certificate: x509.Certificate) -> bool:
    """Say whether what is signed with its key would be trusted."""
    try:
        extensions = certificate.extensions
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return False


def fingerprint(certificate: x509.Certificate) -> str:
    """Return what tells a certificate from all others: its SHA-256, in lower-case hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    """Say whether *now* is within the life of a certificate."""
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def past_two_thirds(start: datetime, end: datetime, now: datetime) -> bool:
    """Say whether two thirds of a life from *start* to *end* are over."""
    return now >= start + (end - start) * 2 / 3


@lru_cache(maxsize=64)
def age(certificate: x509.Certificate) -> tuple[datetime, str]:
    """Return what certificates are ordered by."""
    return certificate.not_valid_before_utc, fingerprint(certificate)

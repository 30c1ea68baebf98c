"""The CAs in the Secret that all replicas share, and CA bundles.

``ca.crt`` is the bundle that clients should trust, oldest first; ``ca.key`` holds the keys
of those CAs that still sign. The type of the Secret marks it as mirrorhook's: a type cannot
be changed, and nobody sets it by mistake.

Content that cannot be read is ignored: a Secret that was emptied or damaged gets a new CA,
and what is left of it stays trusted.
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

from webhook.tls.ca import CertificateAuthority
from webhook.tls.certificate import encode_public_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

__all__ = [
    "SECRET_TYPE",
    "CASecret",
    "encode_bundle",
    "get_fingerprint",
    "is_past_two_thirds",
    "is_valid",
    "parse_bundle",
]

SECRET_TYPE: Final = "mirrorhook.io/ca"  # noqa: S105 - the type of a Secret is no secret
CERTIFICATES: Final = "ca.crt"
KEYS: Final = "ca.key"
PEM_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CASecret:
    """The CAs in the Secret.

    Attributes:
        certificates: The trusted certificates, oldest first.
        authorities: Those of them that can sign, oldest first.
    """

    certificates: tuple[x509.Certificate, ...] = ()
    authorities: tuple[CertificateAuthority, ...] = ()

    @classmethod
    def parse(cls, data: Mapping[str, bytes]) -> CASecret:
        """Return the CAs in the decoded contents of a Secret."""
        keys = {encode_public_key(key.public_key()): key for key in _parse_keys(data.get(KEYS))}
        certificates = parse_bundle(data.get(CERTIFICATES, b""))
        return cls().merge(
            certificates,
            (
                CertificateAuthority(each, keys[public])
                for each in certificates
                if _is_ca(each) and (public := encode_public_key(each.public_key())) in keys
            ),
        )

    def encode(self) -> dict[str, bytes]:
        """Return the contents of the Secret by key."""
        return {
            CERTIFICATES: encode_bundle(self.certificates),
            KEYS: b"".join(each.key_pem for each in self.authorities),
        }

    def find_usable(self, now: datetime) -> tuple[CertificateAuthority, ...]:
        """Return the CAs that can sign at *now*, oldest first."""
        return tuple(each for each in self.authorities if is_valid(each.certificate, now))

    def merge(
        self,
        certificates: Iterable[x509.Certificate] = (),
        authorities: Iterable[CertificateAuthority] = (),
    ) -> CASecret:
        """Return these CAs and others."""
        signing = {each.certificate: each for each in (*self.authorities, *authorities)}
        trusted = {*self.certificates, *certificates, *signing}
        return CASecret(
            tuple(sorted(trusted, key=_get_age)),
            tuple(signing[each] for each in sorted(signing, key=_get_age)),
        )

    def keep_only(self, certificates: Iterable[x509.Certificate]) -> CASecret:
        """Return those CAs whose certificates are among *certificates*."""
        kept = set(certificates)
        return CASecret(
            tuple(each for each in self.certificates if each in kept),
            tuple(each for each in self.authorities if each.certificate in kept),
        )

    def keep_newest(self, count: int) -> CASecret:
        """Return the newest *count* CAs."""
        return self.keep_only(self.certificates[-count:])


def encode_bundle(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return certificates as a bundle in PEM."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


@lru_cache(maxsize=16)  # every round reads the same few
def parse_bundle(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Return the readable certificates of a bundle in PEM, each once, oldest first."""
    found = set()
    for block in PEM_BLOCK.finditer(pem):
        try:
            certificate = x509.load_pem_x509_certificate(block[0])
            _get_age(certificate)
            certificate.public_key()
        except Exception:  # noqa: BLE001, S112 - an unreadable certificate is ignored
            continue
        found.add(certificate)
    return tuple(sorted(found, key=_get_age))


def get_fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate in lower-case hex, which identifies it."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether *now* is within the lifetime of a certificate."""
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def is_past_two_thirds(start: datetime, end: datetime, now: datetime) -> bool:
    """Return whether two thirds of a lifetime from *start* to *end* are over."""
    return now >= start + (end - start) * 2 / 3


def _parse_keys(pem: bytes | None) -> list[ec.EllipticCurvePrivateKey]:
    """Return the readable private keys of the kind that `create_ca` makes."""
    found = []
    for block in PEM_BLOCK.finditer(pem or b""):
        try:
            key = load_pem_private_key(block[0], password=None)
        except Exception:  # noqa: BLE001, S112 - as above
            continue
        if isinstance(key, ec.EllipticCurvePrivateKey):
            found.append(key)
    return found


@lru_cache(maxsize=64)
def _is_ca(certificate: x509.Certificate) -> bool:
    """Return whether clients trust certificates that are signed with its key."""
    try:
        extensions = certificate.extensions
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return False


@lru_cache(maxsize=64)
def _get_age(certificate: x509.Certificate) -> tuple[datetime, str]:
    return certificate.not_valid_before_utc, get_fingerprint(certificate)

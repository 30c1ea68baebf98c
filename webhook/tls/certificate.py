"""A serving certificate with its private key, and everything that can be wrong with them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import (
        PrivateKeyTypes,
        PublicKeyTypes,
    )

__all__ = [
    "CLOCK_SKEW",
    "Certificate",
    "CertificateError",
    "encode_public_key",
    "find_last_expiry",
    "format_time",
]

# By how much the clocks of two machines may differ.
CLOCK_SKEW: Final = timedelta(minutes=5)
# Parameters of the curve, or certificates, may precede the key.
KEY_BEGIN: Final = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
SAN_HINT: Final = "it needs DNS:SERVICE.NAMESPACE.svc"
# How messages end.
REPLACE: Final = "create it again"
PEM_NEEDED: Final = "give one in PEM"


class CertificateError(Exception):
    """A certificate or key cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A serving certificate and the private key that belongs to it.

    Attributes:
        chain: The certificate and the intermediate certificates up to its CA, in PEM.
        key: Its private key, in PEM.
        names: The host names and addresses that it is for.
        valid_from: When it becomes valid.
        expires_at: When it expires.
        fingerprint: SHA-256 of the certificate, in lower-case hex.
    """

    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)
    names: tuple[str, ...]
    valid_from: datetime
    expires_at: datetime
    fingerprint: str

    @classmethod
    def parse(
        cls,
        chain: bytes,
        key: bytes,
        *,
        chain_source: str = "the certificate",
        key_source: str = "the private key",
    ) -> Certificate:
        """Parse and check a certificate and its key; the date is not checked.

        Args:
            chain: Certificates in PEM, the serving one first.
            key: Private key in PEM, without a passphrase.
            chain_source: What messages call the certificate: a path.
            key_source: What messages call the key: a path.

        Raises:
            CertificateError: One of them cannot be read, they do not belong together,
                or the certificate has no subject alternative name.
        """
        certificates = _parse_chain(chain, chain_source)
        private = _parse_key(key, key_source)
        public = encode_public_key(private.public_key())
        matches = [encode_public_key(each.public_key()) == public for each in certificates]
        if not any(matches):
            raise CertificateError(
                f"{key_source} does not match {chain_source}: it is the key of another "
                "certificate; use the files of one certificate"
            )
        if not matches[0]:
            raise CertificateError(
                f"{key_source} matches certificate {matches.index(True) + 1} of {chain_source}: "
                "put that certificate first, and those of its CAs after it"
            )
        leaf = certificates[0]
        return cls(
            chain=b"".join(each.public_bytes(Encoding.PEM) for each in certificates),
            key=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            names=_find_names(leaf, chain_source),
            valid_from=leaf.not_valid_before_utc,
            expires_at=leaf.not_valid_after_utc,
            fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        )

    def problem_at(self, now: datetime) -> str | None:
        """Return why no client would accept the certificate at *now*, or None."""
        if self.expires_at <= now:
            return f"expired on {format_time(self.expires_at)}"
        if self.valid_from > now + CLOCK_SKEW:
            return f"is not valid before {format_time(self.valid_from)}"
        return None


def find_last_expiry(pem: bytes) -> datetime:
    """Return when the last of some certificates in PEM expires.

    Raises:
        CertificateError: There is no certificate, or one cannot be read.
    """
    return max(each.not_valid_after_utc for each in _parse_chain(pem, "the CA bundle"))


def encode_public_key(key: PublicKeyTypes) -> bytes:
    """Return a public key in a form that can be compared."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def format_time(moment: datetime) -> str:
    """Return a moment as messages show it."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _parse_chain(pem: bytes, source: str) -> list[x509.Certificate]:
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise CertificateError(
            f'{source} contains no certificate ("-----BEGIN CERTIFICATE-----"); {PEM_NEEDED}'
        )
    try:
        chain = x509.load_pem_x509_certificates(pem)
        for each in chain:
            each.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            f"{source} contains an invalid certificate: {error}; {REPLACE}"
        ) from None
    return chain


def _parse_key(pem: bytes, source: str) -> PrivateKeyTypes:
    begin = KEY_BEGIN.search(pem)
    if begin is None:
        raise CertificateError(
            f'{source} contains no private key ("-----BEGIN PRIVATE KEY-----"); {PEM_NEEDED}'
        )
    try:
        return load_pem_private_key(pem[begin.start() :], password=None)
    except TypeError:
        raise CertificateError(
            f"{source} is protected by a passphrase; use a key without one"
        ) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            f"{source} contains an invalid private key: {error}; {REPLACE}"
        ) from None


def _find_names(certificate: x509.Certificate, source: str) -> tuple[str, ...]:
    """Return the subject alternative names, the only ones that the API server looks at."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        problem = "has no subject alternative name, so no API server trusts it"
        raise CertificateError(f"{source} {problem}; {SAN_HINT}") from None
    except (ValueError, x509.DuplicateExtension) as error:
        raise CertificateError(
            f"{source} contains an invalid certificate: {error}; {REPLACE}"
        ) from None
    hosts = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    if not hosts and not addresses:
        raise CertificateError(
            f"{source} has no host name or address among its subject alternative names; {SAN_HINT}"
        )
    return (*hosts, *map(str, addresses))

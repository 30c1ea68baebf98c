"""
A serving certificate with its private key.
"""

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

from webhook.tls.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import (
        PrivateKeyTypes,
        PublicKeyTypes,
    )

__all__ = ["SKEW", "KeyPair", "encoded", "expiry_of", "stamp"]

# The clocks of two machines may differ by as much.
SKEW: Final = timedelta(minutes=5)
# Parameters of the curve, or certificates, may stand before it.
KEY_BEGIN: Final = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
SAN_HINT: Final = "make one for DNS:SERVICE.NAMESPACE.svc"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """
    A certificate and the key that belongs to it, checked.

    Attributes:
        certificate: The certificate and those that lead to its CA, in PEM.
        key: Its private key, in PEM.
        names: The host names and addresses that it is for.
        valid_from: When it becomes valid.
        expires_at: When it expires.
        fingerprint: SHA-256 of the certificate, in lower-case hex.
    """

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    names: tuple[str, ...]
    valid_from: datetime
    expires_at: datetime
    fingerprint: str

    @classmethod
    def read(
        cls,
        certificate: bytes,
        key: bytes,
        *,
        certificate_source: str = "the certificate",
        key_source: str = "the private key",
    ) -> KeyPair:
        """
        Check that the two can be served with, whatever the date.

        Args:
            certificate: Certificates in PEM, the serving one first.
            key: Private key in PEM, without a passphrase.
            certificate_source: What messages call the certificate; a path.
            key_source: What messages call the key; a path.

        Raises:
            CertificateError: One of them cannot be read, they do not belong together,
                or the certificate is for no host.
        """
        chain = parse_certificates(certificate, certificate_source)
        private = parse_key(key, key_source)
        public = encoded(private.public_key())
        owners = [encoded(each.public_key()) == public for each in chain]
        if not any(owners):
            raise CertificateError(
                f"{key_source} does not belong to {certificate_source}: "
                "they are of different pairs"
            )
        if not owners[0]:
            raise CertificateError(
                f"{key_source} belongs to certificate {owners.index(True) + 1} of "
                f"{certificate_source}: put that one first, and its CA's after it"
            )
        leaf = chain[0]
        return cls(
            certificate=b"".join(each.public_bytes(Encoding.PEM) for each in chain),
            key=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            names=names_of(leaf, certificate_source),
            valid_from=leaf.not_valid_before_utc,
            expires_at=leaf.not_valid_after_utc,
            fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        )

    def problem_at(self, now: datetime) -> str | None:
        """
        Say why no client would accept the certificate at *now*, or None.
        """
        if self.expires_at <= now:
            return f"expired on {stamp(self.expires_at)}"
        if self.valid_from > now + SKEW:
            return f"is not valid before {stamp(self.valid_from)}"
        return None


def expiry_of(pem: bytes) -> datetime:
    """
    Return when the last of some certificates expires.

    Args:
        pem: Certificates in PEM.

    Raises:
        CertificateError: There is none, or one cannot be read.
    """
    found = parse_certificates(pem, "what is trusted")
    return max(each.not_valid_after_utc for each in found)


def parse_certificates(pem: bytes, source: str) -> list[x509.Certificate]:
    """
    Return the certificates of a PEM text; there is at least one.

    Args:
        pem: The text; what is no certificate in it is passed over.
        source: What messages call it.

    Raises:
        CertificateError: There is none, or one cannot be read.
    """
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise CertificateError(
            f'{source} holds no certificate in PEM ("-----BEGIN CERTIFICATE-----")'
        )
    try:
        chain = x509.load_pem_x509_certificates(pem)
        for each in chain:
            each.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{source} holds a broken certificate: {error}") from None
    return chain


def parse_key(pem: bytes, source: str) -> PrivateKeyTypes:
    """
    Return the private key of a PEM text.

    Raises:
        CertificateError: There is none that can be read without a passphrase.
    """
    begin = KEY_BEGIN.search(pem)
    if begin is None:
        raise CertificateError(
            f'{source} holds no private key in PEM ("-----BEGIN PRIVATE KEY-----")'
        )
    try:
        return load_pem_private_key(pem[begin.start() :], password=None)
    except TypeError:
        raise CertificateError(
            f"{source} is protected by a passphrase; give a key without one"
        ) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{source} holds a broken private key: {error}") from None


def names_of(certificate: x509.Certificate, source: str) -> tuple[str, ...]:
    """
    Return the DNS names and addresses that a certificate is for.

    Raises:
        CertificateError: It has none; the API server looks at no other name.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        problem = "has no subject alternative name, so that no API server trusts it"
        raise CertificateError(f"{source} {problem}; {SAN_HINT}") from None
    except (ValueError, x509.DuplicateExtension) as error:
        raise CertificateError(f"{source} holds a broken certificate: {error}") from None
    names: Sequence[object] = [
        *extension.value.get_values_for_type(x509.DNSName),
        *extension.value.get_values_for_type(x509.IPAddress),
    ]
    if not names:
        raise CertificateError(f"{source} is for no host; {SAN_HINT}")
    return tuple(str(name) for name in names)


def encoded(key: PublicKeyTypes) -> bytes:
    """
    Return a public key in a form that can be compared.
    """
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def stamp(moment: datetime) -> str:
    """
    Return a moment as it stands in messages.
    """
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

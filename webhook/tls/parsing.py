"""Certificates and keys taken apart, with a sentence for everything that can be wrong.

It needs cryptography, which takes 8 MiB: a process that is content with what OpenSSL
tells (`webhook.tls.shown`) never imports this.
"""

from __future__ import annotations

import re
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
from webhook.tls.pair import KeyPair

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import (
        PrivateKeyTypes,
        PublicKeyTypes,
    )

__all__ = ["encoded", "expiry_of", "parsed_pair"]

# Parameters of the curve, or certificates, may stand before it.
KEY_BEGIN: Final = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
SAN_HINT: Final = "make one for DNS:SERVICE.NAMESPACE.svc"


def parsed_pair(
    certificate: bytes, key: bytes, certificate_source: str, key_source: str
) -> KeyPair:
    """Read a pair, as `KeyPair.read` says."""
    chain = parse_certificates(certificate, certificate_source)
    private = parse_key(key, key_source)
    public = encoded(private.public_key())
    owners = [encoded(each.public_key()) == public for each in chain]
    if not any(owners):
        raise CertificateError(
            f"{key_source} does not belong to {certificate_source}: they are of different pairs"
        )
    if not owners[0]:
        raise CertificateError(
            f"{key_source} belongs to certificate {owners.index(True) + 1} of "
            f"{certificate_source}: put that one first, and its CA's after it"
        )
    leaf = chain[0]
    return KeyPair(
        certificate=b"".join(each.public_bytes(Encoding.PEM) for each in chain),
        key=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        names=names_of(leaf, certificate_source),
        valid_from=leaf.not_valid_before_utc,
        expires_at=leaf.not_valid_after_utc,
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
    )


def expiry_of(pem: bytes) -> datetime:
    """Return when the last of some certificates expires.

    Args:
        pem: Certificates in PEM.

    Raises:
        CertificateError: There is none, or one cannot be read.
    """
    found = parse_certificates(pem, "what is trusted")
    return max(each.not_valid_after_utc for each in found)


def parse_certificates(pem: bytes, source: str) -> list[x509.Certificate]:
    """Return the certificates of a PEM text; there is at least one.

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
    """Return the private key of a PEM text.

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
    """Return the DNS names and addresses that a certificate is for.

    Raises:
        CertificateError: It has none; the API server looks at no other name.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
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
    """Return a public key in a form that can be compared."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

"""A certificate authority of our own, and what it signs.

Keys are on the curve P-256. The certificates pass OpenSSL's strict checks of RFC 5280
(``VERIFY_X509_STRICT``, which Python 3.13 turns on): basic constraints, key usage and
both key identifiers are there, and what has to be critical is.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from webhook.tls.errors import CertificateError
from webhook.tls.pair import SKEW
from webhook.tls.parsing import parsed_pair

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from webhook.tls.pair import KeyPair

__all__ = ["Authority", "new_authority", "self_signed"]

YEAR: Final = timedelta(days=365)
MAX_COMMON_NAME: Final = 64  # RFC 5280, appendix A.1, ub-common-name


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA that can sign.

    Attributes:
        certificate: Its certificate.
        key: Its private key.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key in PEM."""
        return pem_of(self.key)

    def issue(self, names: Sequence[str], now: datetime, lifetime: timedelta) -> KeyPair:
        """Sign a serving certificate for a new key; it never outlives the CA.

        Args:
            names: Host names and addresses that it is for, at least one.
            now: The time.
            lifetime: How long it is to be valid.

        Raises:
            CertificateError: A name can stand in no certificate.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        builder = (
            started(key, names[0], now)
            .issuer_name(issuer.subject)
            .not_valid_after(min(now + lifetime, issuer.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(signing=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([general_name(name) for name in names]),
                critical=False,
            )
        )
        certificate = builder.sign(self.key, hashes.SHA256())
        # A handshake, as for the files of others, would take twenty times as long.
        return parsed_pair(
            certificate.public_bytes(Encoding.PEM),
            pem_of(key),
            "the certificate",
            "the private key",
        )


def new_authority(name: str, now: datetime, lifetime: timedelta) -> Authority:
    """Make a CA.

    Args:
        name: Its common name.
        now: The time.
        lifetime: How long it is to be valid.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    builder = started(key, name, now)
    certificate = (
        builder.issuer_name(common_name(name))
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signing=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def self_signed(
    names: Sequence[str], *, now: datetime, lifetime: timedelta = YEAR
) -> tuple[KeyPair, bytes]:
    """Make a serving certificate, and a CA that is thrown away once it has signed it.

    Args:
        names: Host names and addresses that it is for, at least one.
        now: The time.
        lifetime: How long it is to be valid.

    Returns:
        The pair, and the certificate of the CA in PEM.

    Raises:
        CertificateError: A name can stand in no certificate.
    """
    authority = new_authority("mirrorhook self-signed CA", now, lifetime)
    return authority.issue(names, now, lifetime), authority.pem


def started(key: ec.EllipticCurvePrivateKey, name: str, now: datetime) -> x509.CertificateBuilder:
    """Begin a certificate with what both kinds have."""
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(common_name(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def common_name(name: str) -> x509.Name:
    """Return a subject; a name that is too long gives way, as clients read the SAN alone."""
    fitting = name if 0 < len(name) <= MAX_COMMON_NAME else "mirrorhook"
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fitting)])


def usage(*, signing: bool) -> x509.KeyUsage:
    """Return the key usage of a CA (*signing*) or of a server."""
    return x509.KeyUsage(
        digital_signature=not signing,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signing,
        crl_sign=signing,
        encipher_only=False,
        decipher_only=False,
    )


def general_name(name: str) -> x509.GeneralName:
    """Return an address or a host name as it stands in a certificate.

    Raises:
        CertificateError: It is neither.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise CertificateError(f"{name!r} cannot stand in a certificate: {error}") from None


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key in PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

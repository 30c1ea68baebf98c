"""A certificate authority (CA), and the certificates that it signs.

Keys are on the curve P-256. The certificates pass OpenSSL's strict checks of RFC 5280
(``VERIFY_X509_STRICT``, the default since Python 3.13): they have basic constraints, key
usage and both key identifiers, critical where required.
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

from webhook.tls.certificate import CLOCK_SKEW, Certificate, CertificateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["CertificateAuthority", "create_ca", "create_self_signed"]

YEAR: Final = timedelta(days=365)
MAX_COMMON_NAME: Final = 64  # RFC 5280, appendix A.1, ub-common-name


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """A CA that can sign."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key in PEM."""
        return _encode_key(self.key)

    def issue(self, names: Sequence[str], now: datetime, lifetime: timedelta) -> Certificate:
        """Return a serving certificate with a new key; it expires with the CA at the latest.

        Args:
            names: Host names and addresses that it is for, at least one.
            now: The time.
            lifetime: How long it is valid.

        Raises:
            CertificateError: A certificate cannot hold one of the names.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        builder = (
            _start_certificate(key, names[0], now)
            .issuer_name(issuer.subject)
            .not_valid_after(min(now + lifetime, issuer.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_create_key_usage(is_ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([_create_general_name(name) for name in names]),
                critical=False,
            )
        )
        signed = builder.sign(self.key, hashes.SHA256())
        return Certificate.parse(signed.public_bytes(Encoding.PEM), _encode_key(key))


def create_ca(name: str, now: datetime, lifetime: timedelta) -> CertificateAuthority:
    """Return a new CA with the common name *name*."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _start_certificate(key, name, now)
        .issuer_name(_create_subject(name))
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_create_key_usage(is_ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return CertificateAuthority(certificate, key)


def create_self_signed(
    names: Sequence[str], *, now: datetime, lifetime: timedelta = YEAR
) -> tuple[Certificate, bytes]:
    """Return a serving certificate, and the certificate of its CA, whose key is thrown away.

    Args:
        names: Host names and addresses that it is for, at least one.
        now: The time.
        lifetime: How long it is valid.

    Raises:
        CertificateError: A certificate cannot hold one of the names.
    """
    ca = create_ca("mirrorhook self-signed CA", now, lifetime)
    return ca.issue(names, now, lifetime), ca.pem


def _start_certificate(
    key: ec.EllipticCurvePrivateKey, name: str, now: datetime
) -> x509.CertificateBuilder:
    """Return a builder with the fields that both kinds of certificates have."""
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(_create_subject(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _create_subject(name: str) -> x509.Name:
    # Clients ignore it, so a name that is too long may give way.
    fitting = name if 0 < len(name) <= MAX_COMMON_NAME else "mirrorhook"
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fitting)])


def _create_key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _create_general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise CertificateError(f"a certificate cannot contain the name {name!r}: {error}") from None


def _encode_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

"""Certificates to serve with: from files, self-signed, or signed by a CA kept in the cluster."""

from webhook.tls.ca import create_self_signed
from webhook.tls.certificate import Certificate, CertificateError
from webhook.tls.context import AllowedClients, ServingContext
from webhook.tls.files import CertificateFiles
from webhook.tls.rotator import ManagedCertificate, RotationStatus, Rotator
from webhook.tls.seal import Seal

__all__ = [
    "AllowedClients",
    "Certificate",
    "CertificateError",
    "CertificateFiles",
    "ManagedCertificate",
    "RotationStatus",
    "Rotator",
    "Seal",
    "ServingContext",
    "create_self_signed",
]

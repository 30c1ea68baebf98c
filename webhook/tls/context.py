"""The TLS context that the webhook serves with; certificate and clients can be replaced.

New handshakes use what is new; open connections go on as they are.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from webhook.core.errors import CHECK_PATH
from webhook.tls.certificate import PEM_NEEDED, CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webhook.tls.certificate import Certificate

__all__ = ["AllowedClients", "ServingContext", "pem_file"]

MEMORY_FILES: Final = hasattr(os, "memfd_create") and Path("/proc/self/fd").exists()


@dataclass(frozen=True, slots=True)
class AllowedClients:
    """The clients that may connect: those with a certificate of these CAs.

    Attributes:
        authorities: The CAs, in PEM.
        names: Common names, or subject alternative names, of which a client needs one; empty
            to allow every certificate of these CAs.
    """

    authorities: str
    names: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path, names: frozenset[str] = frozenset()) -> AllowedClients:
        """Return the clients with a certificate from the CAs in a file.

        Raises:
            CertificateError: The file cannot be read, or holds no CA.
        """
        try:
            clients = cls(path.read_text("ascii"), names)
            create_context(clients)
        except (OSError, ValueError) as error:
            reason = f"it holds no certificate; {PEM_NEEDED}"
            # `ssl.SSLError` is an OSError without a file.
            if isinstance(error, OSError) and error.filename:
                reason = f"{error.strerror}; {CHECK_PATH}"
            raise CertificateError(f"cannot use {path}: {reason}") from None
        return clients

    def find_problem(self, certificate: Mapping[str, Any] | None) -> str:
        """Return why a client is not allowed; empty if it is.

        Args:
            certificate: Its certificate, as `ssl` decodes it, which a CA has signed.
        """
        subject = [pair for part in (certificate or {}).get("subject", ()) for pair in part]
        names = [value for key, value in subject if key == "commonName"]
        names += [value for _, value in (certificate or {}).get("subjectAltName", ())]
        if not self.names or self.names.intersection(names):
            return ""
        return f"the client certificate is for {', '.join(names) or 'nobody'}, which is not allowed"


class ServingContext:
    """A context to serve with, for TLS 1.2 or newer.

    It offers only HTTP/1.1, which the API server speaks to webhooks.

    Args:
        certificate: The first certificate.
        clients: The clients that may connect; None for all, without a certificate.

    Raises:
        CertificateError: OpenSSL refuses the certificate.

    Attributes:
        context: The context for the next handshake.
        certificate: The certificate in use.
        clients: The clients that may connect.
    """

    def __init__(self, certificate: Certificate, clients: AllowedClients | None = None) -> None:
        self.context = create_context(clients)
        self.certificate = certificate
        self.clients = clients
        self.use(certificate)

    def use(self, certificate: Certificate) -> None:
        """Serve with another certificate.

        Raises:
            CertificateError: OpenSSL refuses the certificate; the old one stays in use.
        """
        # If OpenSSL refuses the key, the context is left without a usable certificate. So
        # a scratch context takes both first.
        for context in (create_context(), self.context):
            _load_certificate(context, certificate)
        self.certificate = certificate

    def allow(self, clients: AllowedClients) -> None:
        """Accept other clients from now on."""
        # A context can be given more CAs, but none can be taken from it.
        context = create_context(clients)
        _load_certificate(context, self.certificate)
        self.context, self.clients = context, clients


@contextmanager
def pem_file(content: bytes, *, in_memory: bool = MEMORY_FILES) -> Iterator[str]:
    """Yield the path of a temporary file that only this user can read.

    OpenSSL loads certificates from files only, and the file system of a container may be
    read-only: so the file is in memory where the platform has such files.
    """
    if in_memory:
        descriptor = os.memfd_create("certificate")
        path = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
            file.flush()
            yield path
    finally:
        if not in_memory:
            Path(path).unlink()


def create_context(clients: AllowedClients | None = None) -> ssl.SSLContext:
    """Return a context without a certificate yet, which verifies those of its clients.

    Raises:
        ValueError: The CAs of the clients are not in PEM.
        OSError: There is no CA among them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.authorities)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: Certificate) -> None:
    with pem_file(certificate.chain + certificate.key) as path:
        try:
            context.load_cert_chain(path)
        except ssl.SSLError as error:
            names = ", ".join(certificate.names)
            raise CertificateError(
                f"OpenSSL refuses the certificate for {names}: {error.reason or error}"
            ) from None

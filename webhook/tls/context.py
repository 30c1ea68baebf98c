"""The TLS context that the webhook serves with; its certificate can be replaced.

New handshakes get the new certificate; open connections go on with the old one.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from webhook.tls.certificate import CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.tls.certificate import Certificate

__all__ = ["ServingContext", "pem_file"]

MEMORY_FILES: Final = hasattr(os, "memfd_create") and Path("/proc/self/fd").exists()


class ServingContext:
    """A context to serve with, for TLS 1.2 or newer.

    It offers only HTTP/1.1, which the API server speaks to webhooks.

    Args:
        certificate: The first certificate.

    Raises:
        CertificateError: OpenSSL refuses the certificate.

    Attributes:
        context: The live context, for a server to accept with.
        certificate: The certificate in use.
    """

    def __init__(self, certificate: Certificate) -> None:
        self.context = _create_context()
        self.certificate = certificate
        self.use(certificate)

    def use(self, certificate: Certificate) -> None:
        """Serve with another certificate.

        Raises:
            CertificateError: OpenSSL refuses the certificate; the old one stays in use.
        """
        # If OpenSSL refuses the key, the context is left without a usable certificate. So
        # a scratch context takes both first.
        for context in (_create_context(), self.context):
            with pem_file(certificate.chain + certificate.key) as path:
                try:
                    context.load_cert_chain(path)
                except ssl.SSLError as error:
                    names = ", ".join(certificate.names)
                    raise CertificateError(
                        f"OpenSSL refuses the certificate for {names}: {error.reason or error}"
                    ) from None
        self.certificate = certificate


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


def _create_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context

"""
The TLS context that connections are accepted with; its certificate can be changed.

A new certificate holds for new handshakes; open connections go on with the old one.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from webhook.tls.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.tls.pair import KeyPair

__all__ = ["ServingContext"]

# OpenSSL takes certificates from files only; Linux has some that are on no disk.
MEMORY_FILES: Final = hasattr(os, "memfd_create") and Path("/proc/self/fd").exists()


class ServingContext:
    """
    A context to serve with, of TLS 1.2 or newer.

    It offers HTTP/1.1 alone, which is what the API server speaks to webhooks.

    Args:
        pair: The certificate to begin with.

    Raises:
        CertificateError: OpenSSL refuses the pair.

    Attributes:
        context: The live context, for a server to accept with.
        pair: The certificate in use.
    """

    def __init__(self, pair: KeyPair) -> None:
        self.context = server_context()
        self.pair = pair
        self.use(pair)

    def use(self, pair: KeyPair) -> None:
        """
        Take another certificate up.

        Raises:
            CertificateError: OpenSSL refuses the pair; the old one stays in use.
        """
        # A pair that OpenSSL refuses halfway leaves a context without a usable
        # certificate, so that one of no importance goes first.
        for context in (server_context(), self.context):
            with pem_file(pair) as path:
                try:
                    context.load_cert_chain(path)
                except ssl.SSLError as error:
                    reason = error.reason or error
                    raise CertificateError(
                        f"the certificate for {', '.join(pair.names)} "
                        f"cannot be served with: OpenSSL says {reason}"
                    ) from None
        self.pair = pair


def server_context() -> ssl.SSLContext:
    """
    Return a context without a certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextmanager
def pem_file(pair: KeyPair, *, in_memory: bool = MEMORY_FILES) -> Iterator[str]:
    """
    Give the pair as a file of this user alone, for as long as it is needed.

    Args:
        pair: What is to be in it.
        in_memory: Take a file in memory: the root of a container may be read-only.
    """
    if in_memory:
        descriptor = os.memfd_create("certificate")
        path = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(pair.certificate + pair.key)
            file.flush()
            yield path
    finally:
        if not in_memory:
            Path(path).unlink()

"""The TLS context that connections are accepted with; its certificate can be changed.

A new certificate holds for new handshakes; open connections go on with the old one.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from webhook.tls.errors import CertificateError
from webhook.tls.memory import pem_file

if TYPE_CHECKING:
    from webhook.tls.pair import KeyPair

__all__ = ["ServingContext"]


class ServingContext:
    """A context to serve with, of TLS 1.2 or newer.

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
        """Take another certificate up.

        Raises:
            CertificateError: OpenSSL refuses the pair; the old one stays in use.
        """
        # A pair that OpenSSL refuses halfway leaves a context without a usable
        # certificate, so that one of no importance goes first.
        for context in (server_context(), self.context):
            with pem_file(pair.certificate + pair.key) as path:
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
    """Return a context without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context

"""Messages that only replicas with the same CA can write and read.

The operations port has no TLS, and everyone who reads the metrics reaches it. So what replicas
tell each other about Pods is encrypted with a key that is derived from the key of their CA.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from webhook.tls.certificate import CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.tls.ca import CertificateAuthority

__all__ = ["Seal"]

MAX_AGE_SECONDS: Final = 60
PURPOSE: Final = b"mirrorhook: messages between replicas"


class Seal:
    """Encrypts messages, and decrypts those of replicas that share a CA.

    Args:
        authorities: The CAs that can sign, oldest first, at least one.
    """

    def __init__(self, authorities: Iterable[CertificateAuthority]) -> None:
        # In a rotation, replicas may know different CAs for a moment.
        keys = [Fernet(_derive_key(each)) for each in authorities]
        self._cipher = MultiFernet(keys[::-1])

    def close(self, message: bytes) -> bytes:
        """Return a message, encrypted; the text is safe in a URL."""
        return self._cipher.encrypt(message)

    def open(self, sealed: bytes) -> bytes:
        """Return the message in what another replica encrypted less than a minute ago.

        Raises:
            CertificateError: It did not, or has another CA.
        """
        try:
            return self._cipher.decrypt(sealed, ttl=MAX_AGE_SECONDS)
        except InvalidToken:
            problem = "no replica with the same CA wrote it in the last minute"
            raise CertificateError(problem) from None


def _derive_key(ca: CertificateAuthority) -> bytes:
    derivation = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=PURPOSE)
    return base64.urlsafe_b64encode(derivation.derive(ca.key_pem))

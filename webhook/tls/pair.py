"""A serving certificate with its private key."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from webhook.tls.shown import shown_by

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["SKEW", "KeyPair", "stamp"]

# The clocks of two machines may differ by as much.
SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and the key that belongs to it, checked.

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
        """Check that the two can be served with, whatever the date.

        Args:
            certificate: Certificates in PEM, the serving one first.
            key: Private key in PEM, without a passphrase.
            certificate_source: What messages call the certificate; a path.
            key_source: What messages call the key; a path.

        Raises:
            CertificateError: One of them cannot be read, they do not belong together,
                or the certificate is for no host.
        """
        shown = shown_by(certificate, key)
        if shown is not None:
            return cls(*shown)
        from webhook.tls.parsing import parsed_pair  # noqa: PLC0415 - it takes 8 MiB

        return parsed_pair(certificate, key, certificate_source, key_source)

    def problem_at(self, now: datetime) -> str | None:
        """Say why no client would accept the certificate at *now*, or None."""
        if self.expires_at <= now:
            return f"expired on {stamp(self.expires_at)}"
        if self.valid_from > now + SKEW:
            return f"is not valid before {stamp(self.valid_from)}"
        return None


def stamp(moment: datetime) -> str:
    """Return a moment as it stands in messages."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

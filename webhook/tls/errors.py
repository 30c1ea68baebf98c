"""What cannot be served with."""

from __future__ import annotations

__all__ = ["CertificateError"]


class CertificateError(Exception):
    """A certificate or key that cannot be used; the message is a sentence that says why."""

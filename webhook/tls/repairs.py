"""Noticing that somebody else keeps changing what we publish."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography import x509

    from webhook.tls.stored import Stored

__all__ = ["Repairs"]

COUNT: Final = 5
SECONDS: Final = 300.0


class Repairs:
    """The latest times at which the same had to be published again.

    Args:
        configuration: Name of the configuration that it is published in.
    """

    def __init__(self, configuration: str) -> None:
        self._configuration = configuration
        self._agreed: tuple[x509.Certificate, ...] = ()
        self._times: deque[float] = deque(maxlen=COUNT)

    def note(self, wanted: Stored, now: float, *, published: bool) -> None:
        """Note what was found.

        Args:
            wanted: What is to be trusted.
            now: Seconds on a clock that only goes forward.
            published: Whether it had to be published.
        """
        if published and wanted.certificates == self._agreed:
            self._times.append(now)
        self._agreed = wanted.certificates

    def problem(self, now: float) -> str:
        """Say what is wrong, or nothing."""
        if len(self._times) < COUNT or now - self._times[0] >= SECONDS:
            return ""
        return (
            f"the caBundle of MutatingWebhookConfiguration {self._configuration} "
            f"was changed back {COUNT} times within {SECONDS:.0f} seconds: "
            "something else sets it too, such as GitOps or cert-manager's cainjector"
        )

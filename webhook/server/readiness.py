"""Whether this replica should get requests, and if not, why."""

from __future__ import annotations

__all__ = ["Readiness"]


class Readiness:
    """The reasons why this replica is not ready; there are none at first.

    Attributes:
        headers: What the responses to reviews have in addition; None for nothing. While the
            process is shutting down, they close their connections.
    """

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self.headers: dict[str, str] | None = None

    def hold(self, part: str, reason: str) -> None:
        """Report that *part* is not ready, and why."""
        self._reasons[part] = reason

    def clear(self, part: str) -> None:
        """Report that *part* is ready."""
        self._reasons.pop(part, None)

    def drain(self) -> None:
        """Report that the process is shutting down, for good."""
        self.headers = {"Connection": "close"}
        self.hold("server", "it is shutting down")

    @property
    def problems(self) -> tuple[str, ...]:
        """Each reason with its part, in words; empty if ready."""
        return tuple(f"{part}: {reason}" for part, reason in self._reasons.items())

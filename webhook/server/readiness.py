"""Whether this replica should get requests, and if not, why."""

from __future__ import annotations

__all__ = ["Readiness"]


class Readiness:
    """Conditions that stand in the way of being ready; there are none at first."""

    def __init__(self) -> None:
        self._obstacles: dict[str, str] = {}
        self.draining = False

    def hold(self, part: str, reason: str) -> None:
        """Note that *part* is not ready, and why."""
        self._obstacles[part] = reason

    def clear(self, part: str) -> None:
        """Note that *part* is ready."""
        self._obstacles.pop(part, None)

    def drain(self) -> None:
        """Note that the process is about to end; it stays so."""
        self.draining = True
        self.hold("server", "it is shutting down")

    @property
    def problems(self) -> tuple[str, ...]:
        """What stands in the way, in words; empty when ready."""
        return tuple(f"{part}: {reason}" for part, reason in self._obstacles.items())

"""Telling of owners that make the same Pod again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhook.admission import LoopDetector

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.admission import StoppedOwner
    from webhook.core import LoopLimits
    from webhook.telemetry import Log, Metrics

__all__ = ["Looping", "uncounted"]


class Looping:
    """Gives each policy who counts for it, and tells log and metrics of whom that stops.

    Args:
        log: The log.
        metrics: The metrics.
        clock: Gives seconds that only grow.
    """

    def __init__(self, log: Log, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._log = log
        self._metrics = metrics
        self._clock = clock

    def counter(self, limits: LoopLimits | None) -> LoopDetector | None:
        """Return who counts, with nothing seen yet; None for nobody."""
        return None if limits is None else LoopDetector(limits, self._clock, self)

    def record_loop(self, owner: StoppedOwner) -> None:
        """Note an owner whose Pods are left alone from now on."""
        self._metrics.looped()
        self._log.warning(
            "owner left alone",
            namespace=owner.namespace,
            kind=owner.kind,
            name=owner.name,
            pod=owner.pod,
            reason=owner.reason,
        )


def uncounted(_: LoopLimits | None) -> LoopDetector | None:
    """Return that nobody counts."""
    return None

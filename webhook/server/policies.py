"""The policies in use, and reloading them from the rules file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhook.admission import LoopDetector, PlanCache, Policy
from webhook.config import Configuration, Mode
from webhook.config.watcher import watch_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from webhook.admission import Selector, StoppedOwner
    from webhook.core import Availability, LoopLimits
    from webhook.server.mirror_health import MirrorHealth
    from webhook.telemetry import Log, Metrics

__all__ = ["PolicyStore", "build_policies"]


class PolicyStore:
    """The policies in use; a reload replaces all of them at once.

    Args:
        configuration: The rules to begin with.
        log: Logs reloads, and owners that are skipped.
        metrics: Counts them.
        clock: Returns seconds since the epoch.
        stopwatch: Returns monotonic seconds.
        mirror_health: Checks images where the rules ask for that.

    Attributes:
        policies: The policies by name.
        configuration: The rules file that they were built from.
        loaded_at: When, in seconds since the epoch.
        refused: What is wrong with the current file; empty if it is in use.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        log: Log,
        metrics: Metrics,
        clock: Callable[[], float],
        stopwatch: Callable[[], float],
        mirror_health: MirrorHealth,
    ) -> None:
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._stopwatch = stopwatch
        self._mirror_health = mirror_health
        self.policies: Mapping[str, Policy] = {}
        self.configuration = configuration
        self.loaded_at = 0.0
        self.refused: tuple[str, ...] = ()
        self._use(configuration, "rules loaded")

    async def follow(self, path: Path) -> None:
        """Reload the rules file whenever it changes; a file with errors keeps the old rules."""
        using = self.configuration
        async for change in watch_rules(path, using.digest, using.files):
            if isinstance(change, Configuration):
                await self._mirror_health.prepare(change.policies.values())
                self._use(change, "rules reloaded")
                continue
            self.refused = tuple(map(str, change.problems))
            self._metrics.record_refused_configuration()
            self._log.error("rules refused, the old ones stay in use", problems=self.refused)

    def record_loop(self, owner: StoppedOwner) -> None:
        """Report an owner whose Pods are skipped from now on."""
        self._metrics.count_loop()
        self._log.warning(
            "owner skipped",
            namespace=owner.namespace,
            kind=owner.kind,
            name=owner.name,
            pod=owner.pod,
            reason=owner.reason,
        )

    def _use(self, configuration: Configuration, event: str) -> None:
        self.policies = build_policies(
            configuration, self._mirror_health.create_selector, self._create_loop_detector
        )
        self._mirror_health.close_unused(
            settings.availability for settings in configuration.policies.values()
        )
        self.configuration = configuration
        self.loaded_at = self._clock()
        self.refused = ()
        self._metrics.record_configuration(self.loaded_at)
        self._log.info(
            event,
            digest=configuration.digest[:12],
            rules={
                name: len(settings.mirrors.rules)
                for name, settings in configuration.policies.items()
            },
        )
        for warning in configuration.warnings:
            self._log.warning("rules", problem=warning)

    def _create_loop_detector(self, limits: LoopLimits | None) -> LoopDetector | None:
        return None if limits is None else LoopDetector(limits, self._stopwatch, self)


def build_policies(
    configuration: Configuration,
    create_selector: Callable[[Availability | None], Selector | None],
    create_loop_detector: Callable[[LoopLimits | None], LoopDetector | None] = lambda _: None,
) -> dict[str, Policy]:
    """Return the policies of a configuration by name.

    Args:
        configuration: The rules.
        create_selector: Returns the selector for an availability setting; None to check nothing.
        create_loop_detector: Returns the loop detector for a policy; None to detect nothing.
    """
    plan_cache = PlanCache()
    return {
        name: Policy(
            name=name,
            decide=settings.mirrors.decide,
            observe=settings.mode is Mode.OBSERVE,
            record=settings.record,
            selector=create_selector(settings.availability),
            loop_detector=create_loop_detector(settings.loops),
            plan_cache=plan_cache,
        )
        for name, settings in configuration.policies.items()
    }

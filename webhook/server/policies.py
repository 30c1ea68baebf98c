"""The policies in use, and reloading them from the rules file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from webhook.admission import LoopDetector, PlanCache, Policy
from webhook.config import Configuration, Mode
from webhook.config.models import NO_RULES
from webhook.config.watcher import watch_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from webhook.admission import Selector, StoppedOwner
    from webhook.config import ConfigurationError
    from webhook.core import Availability, LoopLimits
    from webhook.server.mirror_health import MirrorHealth
    from webhook.server.readiness import Readiness
    from webhook.telemetry import Log, Metrics

__all__ = ["PolicyStore", "build_policies"]

PART: Final = "rules"  # of `Readiness`


class PolicyStore:
    """The policies in use; a reload replaces all of them at once.

    Args:
        configuration: The rules to begin with; `NO_RULES` to wait for them.
        log: Logs reloads, and owners that are skipped.
        metrics: Counts them.
        clock: Returns seconds since the epoch.
        stopwatch: Returns monotonic seconds.
        mirror_health: Checks images where the rules ask for that.
        readiness: Learns whether there are rules.

    Attributes:
        policies: The policies by name; none before the first valid file.
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
        readiness: Readiness,
    ) -> None:
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._stopwatch = stopwatch
        self._mirror_health = mirror_health
        self._readiness = readiness
        self.policies: Mapping[str, Policy] = {}
        self.configuration = configuration
        self.loaded_at = 0.0
        self.refused: tuple[str, ...] = ()
        if configuration is NO_RULES:
            readiness.hold(PART, "waiting for the rules file")
        else:
            self._use(configuration, "rules loaded")

    async def follow(self, path: Path) -> None:
        """Reload the rules file whenever it changes; a file with errors keeps the old rules.

        Without old rules, the replica is not ready until the file is valid.
        """
        using = self.configuration
        async for change in watch_rules(path, using.digest, using.files):
            if isinstance(change, Configuration):
                await self._mirror_health.prepare(change.policies.values())
                self._use(change, "rules reloaded" if self.policies else "rules loaded")
            else:
                self._refuse(change)

    def _refuse(self, error: ConfigurationError) -> None:
        self.refused = tuple(map(str, error.problems))
        self._metrics.record_refused_configuration()
        if self.policies:
            self._log.error("rules refused, the old ones stay in use", problems=self.refused)
            return
        self._log.error("rules refused, waiting for valid ones", problems=self.refused)
        # Everybody who reaches the operations port can read this, and what the file says is in
        # the messages.
        count = len(self.refused)
        problems = "1 problem" if count == 1 else f"{count} problems"
        where = replace(
            error.problems[0],
            path="",
            message=f"the rules file has {problems}; to see what to fix, read the log of this Pod",
        )
        self._readiness.hold(PART, str(where))

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
        self._readiness.clear(PART)
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

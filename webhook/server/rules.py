"""The rules in use, and taking up a change of their file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhook.admission import Policy
from webhook.config import Configuration, Mode
from webhook.config.watcher import watch_rules
from webhook.server.looping import uncounted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from webhook.admission import LoopDetector, Selector
    from webhook.core import Availability, LoopLimits
    from webhook.server.probing import Probers
    from webhook.telemetry import Log, Metrics

__all__ = ["RulesInUse"]


class RulesInUse:
    """The policies that reviews are judged by; a reload replaces all of them at once.

    Args:
        configuration: The rules to begin with.
        log: Notes reloads.
        metrics: Counts reloads.
        clock: Gives seconds since the epoch.
        probers: Ask mirrors where the rules want that.
        loops: Gives who counts Pods that come again and again. A reload begins anew.

    Attributes:
        policies: The policies by name.
        configuration: The rules file that they were made of.
        loaded_at: When that was, in seconds since the epoch.
        refused: What is wrong with the file as it is now; empty where it is in use.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        log: Log,
        metrics: Metrics,
        clock: Callable[[], float],
        probers: Probers,
        loops: Callable[[LoopLimits | None], LoopDetector | None] = uncounted,
    ) -> None:
        self._loops = loops
        self._probers = probers
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self.policies: Mapping[str, Policy] = {}
        self.configuration = configuration
        self.loaded_at = 0.0
        self.refused: tuple[str, ...] = ()
        self._use(configuration, "rules loaded")

    def _use(self, configuration: Configuration, event: str) -> None:
        self.policies = policies_of(configuration, self._probers.choice, self._loops)
        self._probers.keep(settings.availability for settings in configuration.policies.values())
        self.configuration = configuration
        self.loaded_at = self._clock()
        self.refused = ()
        self._metrics.configuration_loaded(self.loaded_at)
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

    async def follow(self, path: Path) -> None:
        """Take up every change of the rules file; what is wrong with it keeps the old rules.

        Args:
            path: The rules file.
        """
        using = self.configuration
        async for change in watch_rules(path, using.digest, using.files):
            if isinstance(change, Configuration):
                await self._probers.prepare(change.policies.values())
                self._use(change, "rules reloaded")
                continue
            self.refused = tuple(map(str, change.problems))
            self._metrics.configuration_refused()
            self._log.error("rules refused, the old ones stay in use", problems=self.refused)


def policies_of(
    configuration: Configuration,
    choice: Callable[[Availability | None], Selector | None],
    loops: Callable[[LoopLimits | None], LoopDetector | None] = uncounted,
) -> dict[str, Policy]:
    """Return the policies as reviews are judged by.

    Args:
        configuration: The rules.
        choice: Gives who chooses for a policy; None where nothing is asked.
        loops: Gives who counts for a policy Pods that come again and again.
    """
    return {
        name: Policy(
            name=name,
            decide=settings.mirrors.decide,
            observe=settings.mode is Mode.OBSERVE,
            record=settings.record,
            selector=choice(settings.availability),
            loop_detector=loops(settings.loops),
        )
        for name, settings in configuration.policies.items()
    }

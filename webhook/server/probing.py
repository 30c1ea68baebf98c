"""Asking mirrors in the running webhook: who asks for which policy, and who is told."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from webhook.server.health import Health, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from webhook.admission import Selector
    from webhook.config import PolicySettings
    from webhook.core import Availability, Mirror
    from webhook.registry import CheckResult, ImageChecker
    from webhook.telemetry import Log, Metrics

__all__ = ["Probers"]


class Probers:
    """One prober for each way of asking.

    A reload that leaves the way alone leaves its prober alone too, with all it knows.

    Args:
        log: Notes mirrors that go and come back.
        metrics: Counts answers.
        clock: Gives seconds that only grow.
    """

    def __init__(self, log: Log, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._checkers: dict[Availability, ImageChecker] = {}
        self._watches: dict[Availability, ProbeWatch] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def prepare(self, policies: Iterable[PolicySettings]) -> None:
        """Import what asking takes, beside the reviews: that is a matter of some 300 ms."""
        if any(policy.availability is not None for policy in policies):
            await asyncio.to_thread(import_module, "webhook.registry")

    def choice(self, settings: Availability | None) -> Selector | None:
        """Return who chooses for one policy; None where nothing is asked."""
        if settings is None:
            return None
        checker = self._checkers.get(settings)
        from webhook.registry import CandidateSelector, create_checker  # noqa: PLC0415 - it costs memory and time

        if checker is None:
            watch = self._watches[settings] = ProbeWatch(self._log, self._metrics, self)
            checker = self._checkers[settings] = create_checker(settings, self._clock, watch)
        return CandidateSelector(checker)

    def keep(self, used: Iterable[Availability | None]) -> None:
        """Close the probers of ways of asking that are no longer used."""
        for settings in self._checkers.keys() - set(used):
            del self._watches[settings]
            closing = asyncio.create_task(closed(self._checkers.pop(settings)))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        self.count_down()

    def health(self, settings: Availability | None, mirror: Mirror) -> Health:
        """Return what is known of a mirror where it is asked in one way."""
        watch = self._watches.get(settings) if settings is not None else None
        return watch.health(mirror) if watch else Health(Standing.NOT_ASKED)

    def count_down(self) -> None:
        """Have the metrics say how many registries are left alone."""
        self._metrics.registries_down(sum(len(w.down) for w in self._watches.values()))


async def closed(checker: ImageChecker) -> None:
    """Close a prober once no review can wait for its answers any more."""
    settings = checker.settings
    await asyncio.sleep(settings.budget + 2 * settings.timeout)
    await checker.close()


class ProbeWatch:
    """Tells log and metrics what a prober finds out.

    Args:
        log: The log.
        metrics: The metrics.
        probers: Counts the registries that are left alone.

    Attributes:
        down: Those registries, and why.
    """

    def __init__(self, log: Log, metrics: Metrics, probers: Probers) -> None:
        self._log = log
        self._metrics = metrics
        self._probers = probers
        self.down: dict[str, str] = {}
        self._latest: dict[str, CheckResult] = {}

    def on_result(self, target: str, result: CheckResult) -> None:
        """Count an answer."""
        self._latest[target] = result
        self._metrics.probed(target, result.status, result.seconds)

    def on_circuit_change(self, registry: str, *, is_open: bool, result: CheckResult) -> None:
        """Note that a registry is left alone from now on, or is asked again."""
        if is_open:
            reason = self.down[registry] = f"{registry} {result.reason}"
            self._log.warning("registry left alone", registry=registry, reason=reason)
        else:
            self.down.pop(registry, None)
            self._log.info("registry asked again", registry=registry)
        self._probers.count_down()

    def health(self, mirror: Mirror) -> Health:
        """Return what is known of a mirror."""
        if mirror.registry in self.down:
            return Health(Standing.LEFT_ALONE, self.down[mirror.registry])
        latest = self._latest.get(mirror.target)
        if latest is None:
            return Health(Standing.NOT_YET)
        failed = latest.status.is_failure
        return Health(Standing.FAILING if failed else Standing.ANSWERS, latest.reason)

    def on_error(self, image: str, error: Exception) -> None:
        """Note an error of ours by its kind: its message could hold a credential."""
        self._metrics.error()
        self._log.error("question failed", image=image, error=type(error).__name__)

    def on_problem(self, problem: str) -> None:
        """Note a file that cannot be used."""
        self._log.warning("availability", problem=problem)

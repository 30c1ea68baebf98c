"""Check images in the running webhook, and show which mirrors answer."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Final

from webhook.admission.response import TEAM_LABEL
from webhook.core.settings import ORIGINAL_TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from webhook.admission import Selector
    from webhook.config import PolicySettings
    from webhook.core import Availability, Decision, Mirror
    from webhook.registry import CheckResult, ImageChecker
    from webhook.telemetry import Log, Metrics

__all__ = ["MirrorHealth", "MirrorState", "MirrorStatus"]

# Each setting takes up to 30 MB, and teams may have any number of them. As many again may wait for
# their end.
MAX_TEAM_SETTINGS: Final = 16
# Mirrors whose last answer is kept, for each setting.
MAX_LATEST: Final = 10_000


class MirrorState(StrEnum):
    """Whether a mirror answers."""

    ANSWERS = "answers"  # whatever it says about the image
    FAILING = "failing"
    DOWN = "down"  # its circuit breaker is open
    NOT_YET = "not-asked-yet"
    NOT_ASKED = "not-asked"  # availability is not checked


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """The last answer of a mirror.

    Attributes:
        state: Whether it answers.
        reason: Its last answer in words; empty if there is none.
    """

    state: MirrorState
    reason: str = ""


class MirrorHealth:
    """One image checker per availability setting, with logging and metrics.

    A checker is kept, with all it knows, when the rules are reloaded with the same setting.

    Args:
        log: Logs registries that go down and come back.
        metrics: Counts the results of checks.
        clock: Returns monotonic seconds.
    """

    def __init__(self, log: Log, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._checkers: dict[Availability, ImageChecker] = {}
        self._observers: dict[Availability, MirrorObserver] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._used: frozenset[Availability | None] = frozenset()
        self._targets: frozenset[str] | None = None
        self._team_selectors: OrderedDict[Availability, Selector] = OrderedDict()

    async def prepare(self, policies: Iterable[PolicySettings]) -> None:
        """Import what checks need in a thread, as that takes some 300 ms."""
        if any(policy.availability is not None for policy in policies):
            await asyncio.to_thread(import_module, "webhook.registry")

    def create_selector(self, settings: Availability | None) -> Selector | None:
        """Return the selector for one policy; None if its images are not checked."""
        return None if settings is None else self._create_selector(settings)

    def _create_selector(self, settings: Availability) -> Selector:
        # It takes 300 ms and 5 MiB, and most configurations do not need it.
        from webhook.registry import CandidateSelector, create_checker  # noqa: PLC0415

        checker = self._checkers.get(settings)
        if checker is None:
            observer = MirrorObserver(
                self._log, self._metrics, self._count_registries_down, self._name_target
            )
            checker = create_checker(settings, self._clock, observer)
            self._checkers[settings], self._observers[settings] = checker, observer
        return CandidateSelector(checker)

    def create_team_selector(self, settings: Availability | None) -> Selector | None:
        """Return the selector for one policy of a namespace; None if its images are not checked."""
        return None if settings is None else _TeamSelector(self, settings)

    def find_team_selector(self, settings: Availability) -> Selector | None:
        """Return the selector of teams with some settings, of which the latest few are kept.

        None while too many others are in use.
        """
        selector = self._team_selectors.pop(settings, None)
        if selector is None:
            if len(self._closing) >= MAX_TEAM_SETTINGS:
                return None
            selector = self._create_selector(settings)
        self._team_selectors[settings] = selector
        if len(self._team_selectors) > MAX_TEAM_SETTINGS:
            self._team_selectors.popitem(last=False)
            self.close_unused(self._used)
        return selector

    def limit_targets(self, targets: Iterable[str]) -> None:
        """Count all other mirrors together: teams name as many as they like."""
        self._targets = frozenset((*targets, ORIGINAL_TARGET))

    def _name_target(self, target: str) -> str:
        """Return the target under which a mirror is counted."""
        return target if self._targets is None or target in self._targets else TEAM_LABEL

    def close_unused(self, used: Iterable[Availability | None]) -> None:
        """Close the checkers of settings that neither the platform nor a team uses."""
        self._used = frozenset(used)
        for settings in self._checkers.keys() - self._used - self._team_selectors.keys():
            del self._observers[settings]
            task = asyncio.create_task(_close(self._checkers.pop(settings)))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._count_registries_down()

    def get_status(self, settings: Availability | None, mirror: Mirror) -> MirrorStatus:
        """Return the last answer of a mirror that is checked with some settings."""
        observer = self._observers.get(settings) if settings is not None else None
        return observer.get_status(mirror) if observer else MirrorStatus(MirrorState.NOT_ASKED)

    def _count_registries_down(self) -> None:
        observers = self._observers.values()
        self._metrics.set_registries_down(sum(len(each.down) for each in observers))


class _TeamSelector:
    """Finds the selector for some settings again for each review, as it may not be kept."""

    def __init__(self, mirror_health: MirrorHealth, settings: Availability) -> None:
        self._mirror_health = mirror_health
        self._settings = settings

    async def choose(self, decisions: Sequence[Decision], seconds: float) -> list[Decision]:
        """Return the decisions on some images, as `Selector` says."""
        selector = self._mirror_health.find_team_selector(self._settings)
        if selector is not None:
            return await selector.choose(decisions, seconds)
        from webhook.registry import select_unchecked  # noqa: PLC0415 - as above

        return [select_unchecked(each, self._settings.on_unknown) for each in decisions]


async def _close(checker: ImageChecker) -> None:
    """Close a checker when no review can be waiting for its results any more."""
    await asyncio.sleep(checker.settings.budget + 2 * checker.settings.timeout)
    await checker.close()


class MirrorObserver:
    """Writes the results of one image checker to log and metrics, and keeps the last ones.

    Args:
        log: The log.
        metrics: The metrics.
        on_change: Is called when a registry goes down or comes back.
        name_target: Returns the target under which a mirror is counted.

    Attributes:
        down: The registries that are down, with the reason.
    """

    def __init__(
        self,
        log: Log,
        metrics: Metrics,
        on_change: Callable[[], None],
        name_target: Callable[[str], str],
    ) -> None:
        self._log = log
        self._metrics = metrics
        self._on_change = on_change
        self._name_target = name_target
        self._latest: dict[str, CheckResult] = {}
        self.down: dict[str, str] = {}

    def get_status(self, mirror: Mirror) -> MirrorStatus:
        """Return the last answer of a mirror."""
        if mirror.registry in self.down:
            return MirrorStatus(MirrorState.DOWN, self.down[mirror.registry])
        latest = self._latest.get(mirror.target)
        if latest is None:
            return MirrorStatus(MirrorState.NOT_YET)
        is_failure = latest.status.is_failure
        return MirrorStatus(
            MirrorState.FAILING if is_failure else MirrorState.ANSWERS, latest.reason
        )

    def on_result(self, target: str, result: CheckResult) -> None:
        """Count the result of a check."""
        self._latest[target] = result
        if len(self._latest) > MAX_LATEST:
            del self._latest[next(iter(self._latest))]
        self._metrics.observe_check(self._name_target(target), result.status, result.seconds)

    def on_circuit_change(self, registry: str, *, is_open: bool, result: CheckResult) -> None:
        """Log that a registry is down, or is back."""
        if is_open:
            reason = self.down[registry] = f"{registry} {result.reason}"
            self._log.warning("registry down", registry=registry, reason=reason)
        else:
            self.down.pop(registry, None)
            self._log.info("registry up", registry=registry)
        self._on_change()

    def on_error(self, image: str, error: Exception) -> None:
        """Log an internal error by its type only: its message could hold a credential."""
        self._metrics.count_error()
        self._log.error("image check failed", image=image, error=type(error).__name__)

    def on_problem(self, problem: str) -> None:
        """Log a file that cannot be used."""
        self._log.warning("credentials not loaded", problem=problem)

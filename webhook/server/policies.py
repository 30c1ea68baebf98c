"""The policies in use: those of the rules file, and of the custom resources that add to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.admission import LoopCounts, LoopDetector, PlanCache, Policy
from webhook.config import Configuration, Mode
from webhook.config.models import NO_RULES
from webhook.config.watcher import watch_rules
from webhook.resources import Effective, build_effective

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from webhook.admission import Selector, StoppedOwner
    from webhook.config import ConfigurationError, PolicySettings
    from webhook.core import Availability, LoopLimits
    from webhook.resources import ResourceObject
    from webhook.server.mirror_health import MirrorHealth
    from webhook.server.readiness import Readiness
    from webhook.telemetry import Log, Metrics

__all__ = ["ObjectSnapshot", "PolicyStore", "build_policies"]

PART: Final = "rules"  # of `Readiness`


class ObjectSnapshot(NamedTuple):
    """The custom resources of a cluster, as they are known at one time.

    Attributes:
        cluster_rules: All ClusterMirrorRules.
        team_rules: All MirrorRules.
        namespaces: The labels of the namespaces.
    """

    cluster_rules: Sequence[ResourceObject] = ()
    team_rules: Sequence[ResourceObject] = ()
    namespaces: Mapping[str, Mapping[str, str]] = MappingProxyType({})


class PolicyStore:
    """The policies in use; a change replaces all of them at once.

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
        effective: The rules file together with the custom resources; None without these.
        refused: What is wrong with the current file; empty if it is in use.
        on_reload: Called after each reload of the rules file.
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
        self._objects: ObjectSnapshot | None = None
        self._building = asyncio.Lock()
        self._loop_counts: dict[str, LoopCounts] = {}
        self.policies: Mapping[str, Policy] = {}
        self.configuration = configuration
        self.loaded_at = 0.0
        self.effective: Effective | None = None
        self.refused: tuple[str, ...] = ()
        self.on_reload: Callable[[], None] = lambda: None
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
                async with self._building:
                    rules = await self._build(change, self._objects)
                    event = "rules reloaded" if self.policies else "rules loaded"
                    self._use(rules, event)
                self.on_reload()
            else:
                self._refuse(change)

    async def use_objects(self, objects: ObjectSnapshot) -> Effective | None:
        """Add other custom resources to the rules file from now on.

        The rules are built in a thread, and replaced at once. Before the first valid rules file
        nothing can be added: the result is None.
        """
        async with self._building:
            if self.configuration is not NO_RULES:
                self._replace(await self._build(self.configuration, objects))
            self._objects = objects
            return self.effective

    async def _build(
        self, configuration: Configuration, objects: ObjectSnapshot | None
    ) -> Configuration | Effective:
        if objects is None:
            await self._mirror_health.prepare(configuration.policies.values())
            return configuration
        effective = await asyncio.to_thread(
            build_effective, configuration, *objects, self.effective
        )
        await self._mirror_health.prepare(_iterate_settings(effective))
        return effective

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

    def _use(self, rules: Configuration | Effective, event: str) -> None:
        """Use a rules file, with or without custom resources."""
        configuration = rules if isinstance(rules, Configuration) else rules.configuration
        self._loop_counts.clear()
        self._replace(rules)
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

    def _replace(self, rules: Configuration | Effective) -> None:
        """Replace all policies at once."""
        if isinstance(rules, Effective):
            self.effective = rules
            self._mirror_health.limit_targets(
                mirror.target
                for settings in rules.policies.values()
                for rule in settings.mirrors.rules
                for mirror in rule.mirrors
            )
        self.policies = build_policies(
            rules,
            self._mirror_health.create_selector,
            self._create_loop_detector,
            self._mirror_health.create_team_selector,
        )
        self._mirror_health.close_unused(
            settings.availability for settings in rules.policies.values()
        )

    def _create_loop_detector(self, policy: str, limits: LoopLimits | None) -> LoopDetector | None:
        if limits is None:
            return None
        counts = self._loop_counts.setdefault(policy, LoopCounts())
        return LoopDetector(limits, self._stopwatch, self, counts)


def build_policies(
    rules: Configuration | Effective,
    create_selector: Callable[[Availability | None], Selector | None],
    create_loop_detector: Callable[[str, LoopLimits | None], LoopDetector | None] = lambda *_: None,
    create_team_selector: Callable[[Availability | None], Selector | None] = lambda _: None,
) -> dict[str, Policy]:
    """Return the policies of a configuration by name.

    Args:
        rules: The rules.
        create_selector: Returns the selector for an availability setting; None to check nothing.
        create_loop_detector: Returns the loop detector for a policy; None to detect nothing.
        create_team_selector: As *create_selector*, for namespaces with rules of their own.
    """
    plan_cache = PlanCache()

    def create(settings: PolicySettings, selector: Selector | None) -> Policy:
        return Policy(
            name=settings.name,
            decide=settings.mirrors.decide,
            observe=settings.mode is Mode.OBSERVE,
            record=settings.record,
            selector=selector,
            loop_detector=create_loop_detector(settings.name, settings.loops),
            plan_cache=plan_cache,
            find_variant=partial(variants.find, settings.name) if variants else None,
        )

    variants = None
    if isinstance(rules, Effective) and rules.namespaces:
        variants = _PolicyVariants(
            rules, lambda settings: create(settings, create_team_selector(settings.availability))
        )
    return {
        name: create(settings, create_selector(settings.availability))
        for name, settings in rules.policies.items()
    }


class _PolicyVariants:
    """The policies of namespaces with rules of their own, each created at its first review.

    Args:
        effective: The rules.
        create: Returns a policy.
    """

    def __init__(self, effective: Effective, create: Callable[[PolicySettings], Policy]) -> None:
        self._effective = effective
        self._create = create
        self._created: dict[tuple[str, str], Policy] = {}

    def find(self, policy: str, namespace: str) -> Policy | None:
        """Return the policy that a namespace has instead of another; None if it has none."""
        if namespace not in self._effective.namespaces:
            return None
        created = self._created.get((policy, namespace))
        if created is None:
            settings = self._effective.find(policy, namespace)
            if settings is None or settings is self._effective.policies[policy]:
                return None
            created = self._created[policy, namespace] = self._create(settings)
        return created


def _iterate_settings(effective: Effective) -> Iterator[PolicySettings]:
    """Yield the settings of all policies, and of their variants."""
    yield from effective.policies.values()
    for namespace in effective.namespaces:
        for policy in effective.policies:
            settings = effective.find(policy, namespace)
            if settings is not None:
                yield settings

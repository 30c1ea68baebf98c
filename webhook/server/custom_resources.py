"""Rules in custom resources: follows them, and adds them to those of the rules file.

All replicas list and watch. A change is built in a thread, and then used for all reviews at once.
The rules file works alone as long as the kinds do not exist, and if the API server does not
answer when the replica starts. Later on, what was last known stays in use.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from sys import intern
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from webhook.kube import open_client
from webhook.kube.lease import LeaseElection
from webhook.kube.reflector import Reflector
from webhook.server.policies import ObjectSnapshot
from webhook.server.resource_status import (
    GROUP_PATH,
    PLURALS,
    StatusWriter,
    WatchedObject,
    watch_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from webhook.kube.client import KubeClient
    from webhook.kube.reflector import ObjectKey
    from webhook.resources import Effective, ResourceObject, Verdict
    from webhook.server.policies import PolicyStore
    from webhook.server.readiness import Readiness
    from webhook.server.settings import ServerSettings
    from webhook.telemetry import Log, Metrics

__all__ = ["CustomResources", "ResourcePace", "create_custom_resources"]

PART: Final = "custom resources"  # of `Readiness`
MAX_LINES: Final = 20  # in the log, for one change
NAMESPACES: Final = "/api/v1/namespaces"


@dataclass(frozen=True, slots=True)
class ResourcePace:
    """How soon changes are used.

    Attributes:
        start: Seconds without progress after which a replica starts with the rules file alone.
        gather: Seconds for which the first change waits for others.
        rest: How many times as long as a build took the next change waits, so that changes
            without end take no more than a part of the processor.
        longest_rest: Seconds that it waits at most.
    """

    start: float = 5.0
    gather: float = 0.2
    rest: float = 3.0
    longest_rest: float = 10.0


class CustomResources:
    """Follows the custom resources, and adds them to the rules file.

    Args:
        client: Reads them.
        store: Uses them.
        create_writer: Returns what writes their status; None to write nothing.
        log: Logs changes, objects that are refused, and problems.
        metrics: Counts them.
        readiness: Held until the replica knows them, or has waited long enough.
        pace: How soon changes are used.
    """

    def __init__(
        self,
        client: KubeClient,
        store: PolicyStore,
        create_writer: Callable[[], StatusWriter] | None,
        *,
        log: Log,
        metrics: Metrics,
        readiness: Readiness,
        pace: ResourcePace | None = None,
    ) -> None:
        self._client = client
        self._store = store
        self._create_writer = create_writer
        self._log = log
        self._metrics = metrics
        self._readiness = readiness
        self._pace = pace or ResourcePace()
        self._changed = asyncio.Event()
        self._problems: dict[str, str] = {}
        self._used: ObjectSnapshot | None = None
        self._reported: Effective | None = None
        self._refused: dict[str, Verdict] = {}
        store.on_reload = self._changed.set
        readiness.hold(PART, "waiting for the API server to list them")

    async def follow(self) -> None:
        """Use each change, until cancelled."""
        notify = self._changed.set
        platform, team = (
            Reflector(self._client, f"{GROUP_PATH}/{plural}", watch_object, notify)
            for plural in PLURALS.values()
        )
        namespaces = Reflector(self._client, NAMESPACES, _read_labels, notify, metadata_only=True)
        with ExitStack() as stack:
            stack.callback(self._readiness.clear, PART)
            for each in (platform, team, namespaces):
                stack.enter_context(each)
            writer = stack.enter_context(self._create_writer()) if self._create_writer else None
            await self._wait_for_lists(platform, team, namespaces)
            while True:
                self._changed.clear()
                self._report_problems(platform, team, namespaces)
                # All or nothing: rules of teams without those of the platform could undo these.
                if platform.synced and team.synced and namespaces.synced:
                    spent = await self._use(platform, team, namespaces, writer)
                    self._readiness.clear(PART)
                    await asyncio.sleep(min(self._pace.rest * spent, self._pace.longest_rest))
                await self._changed.wait()
                await asyncio.sleep(self._pace.gather)

    async def _wait_for_lists(self, *reflectors: Reflector[Any]) -> None:
        """Wait for the first lists, as long as they make progress."""
        received, waited = 0, 0.0
        while not all(each.synced for each in reflectors):
            await asyncio.sleep(self._pace.gather)
            waited += self._pace.gather
            now = sum(each.received for each in reflectors)
            if now > received:
                received, waited = now, 0.0
            if waited > self._pace.start:
                self._log.warning("custom resources not listed, the rules file works alone")
                self._readiness.clear(PART)
                return

    async def _use(
        self,
        platform: Reflector[WatchedObject],
        team: Reflector[WatchedObject],
        namespaces: Reflector[Mapping[str, str]],
        writer: StatusWriter | None,
    ) -> float:
        """Use the objects as they are known now, and return how many seconds a build took."""
        cluster_rules, team_rules = platform.get_objects(), team.get_objects()
        labels = namespaces.get_objects()
        snapshot = await asyncio.to_thread(_take_snapshot, cluster_rules, team_rules, labels)
        effective = self._store.effective
        spent = 0.0
        if self._used is None or not _is_same(snapshot, self._used):
            began = time.perf_counter()
            effective = await self._store.use_objects(snapshot)
            self._used = snapshot
            spent = time.perf_counter() - began
            self._metrics.observe_build(spent)
        if effective is None:
            return spent  # there is no valid rules file yet
        if effective is not self._reported:
            self._reported = effective
            await asyncio.to_thread(self._report, effective)
        if writer is not None:
            writer.update([*cluster_rules.values(), *team_rules.values()], effective.verdicts)
        return spent

    def _report(self, effective: Effective) -> None:
        """Count all objects, and log those that are refused since the last time."""
        verdicts = effective.verdicts
        refused = {uid: each for uid, each in verdicts.items() if not each.is_accepted}
        counts = Counter((str(each.object.kind), each.is_accepted) for each in verdicts.values())
        for kind in PLURALS:
            for is_accepted in (True, False):
                self._metrics.set_resources(kind, counts[kind, is_accepted], accepted=is_accepted)
        self._log.info("custom resources in use", objects=len(verdicts), refused=len(refused))
        news = [each for uid, each in refused.items() if self._refused.get(uid) != each]
        for each in news[:MAX_LINES]:
            self._log.warning(
                "custom resource refused",
                object=str(each.object),
                generation=each.object.generation,
                reason=str(each.reason),
                problem=each.message,
                in_use=each.in_use,
            )
        self._refused = refused

    def _report_problems(self, *reflectors: Reflector[Any]) -> None:
        """Log which kinds may be out of date, and when that ends."""
        for each in reflectors:
            known = self._problems.get(each.path, "")
            problem = self._problems[each.path] = each.problem
            if problem and not known:
                self._log.warning("custom resources may be out of date", problem=problem)
            elif known and not problem:
                self._log.info("custom resources are up to date again", path=each.path)
        self._metrics.set_unwatched(sum(bool(each.problem) for each in reflectors))


def create_custom_resources(
    settings: ServerSettings,
    store: PolicyStore,
    *,
    log: Log,
    metrics: Metrics,
    readiness: Readiness,
) -> CustomResources:
    """Return what follows the custom resources, as *settings* ask for.

    Raises:
        ClusterError: The address of the cluster is unknown.
    """
    client = open_client()

    def create_writer(namespace: str, name: str) -> StatusWriter:
        # A host name is no identity: Pods in the network of a node share it.
        identity = f"{socket.gethostname()}_{uuid4().hex[:8]}"
        election = LeaseElection(client, namespace, name, identity, time.monotonic)
        return StatusWriter(client, election, identity, log=log, metrics=metrics)

    return CustomResources(
        client,
        store,
        partial(create_writer, *settings.lease) if settings.lease else None,
        log=log,
        metrics=metrics,
        readiness=readiness,
    )


def _read_labels(content: Mapping[str, Any], _: object) -> Mapping[str, str]:
    labels = content["metadata"].get("labels") or {}
    return {intern(key): value for key, value in labels.items()}


def _take_snapshot(
    cluster_rules: Mapping[ObjectKey, WatchedObject],
    team_rules: Mapping[ObjectKey, WatchedObject],
    labels: Mapping[ObjectKey, Mapping[str, str]],
) -> ObjectSnapshot:
    names = {key.namespace for key in team_rules}
    return ObjectSnapshot(
        [each.resource for each in cluster_rules.values()],
        [each.resource for each in team_rules.values()],
        # Only of namespaces that matter: in some clusters others come and go all the time.
        {key.name: each for key, each in labels.items() if key.name in names},
    )


def _is_same(one: ObjectSnapshot, other: ObjectSnapshot) -> bool:
    """Return whether nothing is different that affects rules."""
    return (
        one.namespaces == other.namespaces
        and _list_identities(one.cluster_rules) == _list_identities(other.cluster_rules)
        and _list_identities(one.team_rules) == _list_identities(other.team_rules)
    )


def _list_identities(objects: Sequence[ResourceObject]) -> list[int]:
    return [id(each) for each in objects]

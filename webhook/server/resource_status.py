"""Writing the status of custom resources, and Events when it changes, by one elected replica."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from sys import intern
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from webhook.core.errors import shorten
from webhook.kube import ClusterError, ConflictError, NotFoundError, RefusedError
from webhook.resources import Kind, list_conditions, read_object
from webhook.resources.objects import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from webhook.kube.client import KubeClient
    from webhook.kube.lease import LeaseElection
    from webhook.resources import ResourceObject, Verdict
    from webhook.telemetry import Log, Metrics

__all__ = ["GROUP_PATH", "PLURALS", "StatusPace", "StatusWriter", "WatchedObject", "watch_object"]

GROUP_PATH: Final = f"/apis/{API_VERSION}"
PLURALS: Final = {Kind.PLATFORM: "clustermirrorrules", Kind.TEAM: "mirrorrules"}
MERGE: Final = "application/merge-patch+json"
MAX_NOTE: Final = 1000  # of an Event; the API server allows 1,024 bytes
MAX_EVENT_NAME: Final = 200  # before the characters that the API server adds
MAX_IDENTITY: Final = 128  # of a replica, in Events
STOP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class StatusPace:
    """How often the status is written.

    Attributes:
        campaign: Seconds between two renewals of the Lease; it is held for 15 without one.
        write: Seconds between two objects: 20 a second.
        batch: Objects between two looks at what else has changed.
        retry: Seconds after a failure.
    """

    campaign: float = 5.0
    write: float = 0.05
    batch: int = 20
    retry: float = 10.0


class PendingStatus(NamedTuple):
    """A status that has to be written."""

    object: WatchedObject
    verdict: Verdict
    conditions: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class WatchedObject:
    """An object and its status, as the API server has them.

    Attributes:
        resource: The object.
        digest: A hash of its conditions, without their times.
        accepted: The status of its condition ``Accepted``; empty if it has none.
        times: Type and status of each condition, and since when it has that.
    """

    resource: ResourceObject
    digest: int
    accepted: str
    times: tuple[tuple[str, str, str], ...]


def watch_object(content: Mapping[str, Any], known: WatchedObject | None) -> WatchedObject:
    """Return an object from its JSON.

    Args:
        content: The JSON.
        known: The object as it was known before; its spec is read again only if it has changed.
    """
    metadata = content["metadata"]
    identity = metadata["uid"], metadata["generation"]
    if known and (known.resource.uid, known.resource.generation) == identity:
        resource = known.resource
    else:
        resource = read_object(content)
    conditions = (content.get("status") or {}).get("conditions") or ()
    statuses = {each["type"]: each["status"] for each in conditions}
    return WatchedObject(
        resource,
        _compute_digest(conditions),
        intern(statuses.get("Accepted", "")),
        tuple(
            (intern(each["type"]), intern(each["status"]), intern(each["lastTransitionTime"]))
            for each in conditions
            if "lastTransitionTime" in each
        ),
    )


def _compute_digest(conditions: Iterable[Mapping[str, Any]]) -> int:
    keys = ("type", "status", "reason", "message", "observedGeneration")
    return hash(tuple(tuple(each.get(key) for key in keys) for each in conditions))


class StatusWriter:
    """Writes the status of all objects while this replica holds the Lease; a context manager.

    It runs in a thread of its own, and keeps away from reviews.

    Args:
        client: Sends the requests.
        election: Says whether this replica may write.
        identity: Name of this replica, in Events.
        log: Logs who writes, and what cannot be written.
        metrics: Counts what is written.
        pace: How often to write.
    """

    def __init__(
        self,
        client: KubeClient,
        election: LeaseElection,
        identity: str,
        *,
        log: Log,
        metrics: Metrics,
        pace: StatusPace | None = None,
    ) -> None:
        self._client = client
        self._election = election
        self._identity = identity[:MAX_IDENTITY]
        self._log = log
        self._metrics = metrics
        self._pace = pace or StatusPace()
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        self._wanted: tuple[Sequence[WatchedObject], Mapping[str, Verdict]] = ((), {})
        # What needs nothing to be written, by UID.
        self._settled: dict[str, tuple[WatchedObject, Verdict]] = {}
        # What is wrong with each status that could not be written, by UID; the latest is last.
        self._failed: dict[str, str] = {}
        self._lease_problem = self._event_problem = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let another replica write at once, if the API server answers soon."""
        self._stopped.set()
        self._changed.set()
        self._thread.join(STOP_SECONDS)

    def update(self, objects: Sequence[WatchedObject], verdicts: Mapping[str, Verdict]) -> None:
        """Take the objects as they are stored, and what became of each, by UID."""
        self._wanted = objects, verdicts
        self._changed.set()

    def _run(self) -> None:
        is_holder = False
        campaigned = float("-inf")
        while not self._stopped.is_set():
            if time.monotonic() - campaigned >= self._pace.campaign:
                campaigned = time.monotonic()
                self._campaign()
            if self._election.is_holder != is_holder:
                is_holder = not is_holder
                self._settled.clear()
                self._report_role(is_holder)
            if not (is_holder and self._write_batch()):
                self._changed.wait(self._pace.campaign)
                self._changed.clear()
        with suppress(ClusterError):
            self._election.release()

    def _campaign(self) -> None:
        try:
            self._election.campaign()
        except Exception as error:  # noqa: BLE001 - the answers come from the network
            self._lease_problem = self._log_problem(error, self._lease_problem)
        else:
            self._lease_problem = ""

    def _write_batch(self) -> bool:
        """Write some of what differs, and return whether there is more."""
        pending = self._find_pending()
        for each in pending[: self._pace.batch]:
            if not self._election.is_holder or self._stopped.is_set():
                break
            uid = each.object.resource.uid
            known = self._failed.pop(uid, "")
            try:
                self._write(each)
            except (ConflictError, NotFoundError):
                pass  # it is gone
            except RefusedError as error:
                self._log_problem(error, known)
            except Exception as error:  # noqa: BLE001 - the answers come from the network
                self._failed[uid] = self._log_problem(error, known)
                self._stopped.wait(self._pace.retry)
                break
            self._settled[uid] = each.object, each.verdict
            self._stopped.wait(self._pace.write)
        return bool(pending)

    def _find_pending(self) -> list[PendingStatus]:
        """Return the status of each object that differs from the stored one.

        Those that could not be written come last, so that they hold up no others. Of the rest,
        problems come first.
        """
        objects, verdicts = self._wanted
        settled: dict[str, tuple[WatchedObject, Verdict]] = {}
        pending: list[PendingStatus] = []
        for each in objects:
            uid = each.resource.uid
            verdict = verdicts.get(uid)
            if verdict is None:
                continue
            known = self._settled.get(uid)
            if known is None or known[0] is not each or known[1] is not verdict:
                conditions = list_conditions(verdict)
                if _compute_digest(conditions) != each.digest:
                    pending.append(PendingStatus(each, verdict, conditions))
                    continue
            settled[uid] = each, verdict
        self._settled = settled
        waiting = {each.object.resource.uid for each in pending}
        self._failed = {uid: each for uid, each in self._failed.items() if uid in waiting}
        order = {uid: number for number, uid in enumerate(self._failed, start=1)}
        pending.sort(
            key=lambda each: (order.get(each.object.resource.uid, 0), each.verdict.is_accepted)
        )
        return pending

    def _write(self, pending: PendingStatus) -> None:
        """Write one status, and an Event if there is a problem, or no longer one."""
        each, verdict, conditions = pending
        resource = each.resource
        since = {(kind, status): when for kind, status, when in each.times}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for condition in conditions:
            key = condition["type"], condition["status"]
            condition["lastTransitionTime"] = since.get(key, now)
        namespace = f"/namespaces/{resource.namespace}" if resource.namespace else ""
        self._client.call(
            f"write the status of {resource}",
            "PATCH",
            f"{GROUP_PATH}{namespace}/{PLURALS[resource.kind]}/{resource.name}/status",
            query={"fieldManager": "mirrorhook"},
            # With its UID: another object may have the name by now.
            body={
                "metadata": {"uid": resource.uid},
                "status": {"conditions": conditions},
            },
            content_type=MERGE,
        )
        self._metrics.count_status_write()
        if not verdict.is_accepted or each.accepted == "False":
            self._write_event(pending)

    def _write_event(self, pending: PendingStatus) -> None:
        resource, verdict = pending.object.resource, pending.verdict
        namespace = resource.namespace or "default"
        note = shorten(verdict.message, MAX_NOTE).encode()[:MAX_NOTE].decode(errors="ignore")
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "generateName": f"{resource.name[:MAX_EVENT_NAME].rstrip('.-')}-",
                "namespace": namespace,
            },
            "eventTime": datetime.now(UTC).isoformat(timespec="microseconds"),
            "type": "Normal" if verdict.is_accepted else "Warning",
            "reason": str(verdict.reason),
            "note": note,
            "action": "ReadRules",
            "reportingController": "mirrorhook.io/webhook",
            "reportingInstance": self._identity,
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": str(resource.kind),
                "namespace": resource.namespace,
                "name": resource.name,
                "uid": resource.uid,
            },
        }
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        try:
            self._client.call(f"write an Event of {resource}", "POST", path, body=body)
        except ClusterError as error:
            self._event_problem = self._log_problem(error, self._event_problem)
        else:
            self._event_problem = ""

    def _report_role(self, is_holder: bool) -> None:
        if is_holder:
            self._log.info("this replica writes the status of custom resources from now on")
        else:
            self._log.info("this replica no longer writes the status of custom resources")

    def _log_problem(self, error: Exception, known: str) -> str:
        """Log a problem, unless it is known, and return it."""
        problem = str(error) if isinstance(error, ClusterError) else f"unexpected answer: {error!r}"
        if problem != known:
            self._log.warning("status of custom resources not written", problem=problem)
        return problem

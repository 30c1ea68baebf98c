"""What the webhook decided on which Pod, and the counts of the last hour: in memory, and bounded.

The Pods that one owner creates with the same generateName and that got the same decisions are one
record. Each namespace has its share of the memory, so that a busy one cannot push out a quiet one.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from heapq import nsmallest
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias

from webhook.admission import ReviewOutcome
from webhook.server.pod_query import MatchRank, PodQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from webhook.objects import ObjectMeta
    from webhook.server.recorder import ReviewRecord

__all__ = [
    "FoundPods",
    "History",
    "ImageRecord",
    "MinuteCounts",
    "NamespaceRecord",
    "PodRecord",
    "merge_found",
]

# Of all records together, by an estimate that is never too low. A usual Pod takes 0.8 KB.
MAX_BYTES: Final = 20 * 1024 * 1024
# What is left when records were dropped: to drop many at once is cheaper than one at a time.
KEPT_BYTES: Final = MAX_BYTES * 7 // 8
RECORD_BYTES: Final = 480
NAMESPACE_BYTES: Final = 900
MAX_TEXT: Final = 512

MINUTES: Final = 60
ERROR_REASON: Final = "internal error; the log has the traceback"
HASH_LABEL: Final = "pod-template-hash"


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """The decision on one image.

    Attributes:
        name: The name of the container; ``volume:`` and the name for a volume.
        image: The image as it was written.
        outcome: The outcome.
        reason: Why.
        rule: The rule that applied; empty if none did.
        result: The image that replaced it, or that would replace it if the policy did not only
            observe; empty if there is none.
    """

    name: str
    image: str
    outcome: str
    reason: str
    rule: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class PodRecord:
    """The decisions on a Pod, or on several with the same generateName.

    Attributes:
        pod: The Pod's name, or its generateName.
        generated: Whether it is the generateName, because the Pod had no name yet.
        owner: Kind and name of what controls it, such as ``Deployment/web``; empty for nothing.
        operation: ``CREATE`` or ``UPDATE``.
        dry_run: Whether the request was a dry run.
        outcome: The outcome of the review.
        reason: Why no image was looked at.
        problem: Whether whoever created the Pod got a warning.
        first: When the first such Pod was reviewed.
        last: When the last one was.
        count: How many there were.
        total: How many images each of them has; *images* has as many as fit into the memory.
        match: How the record matches what was searched for.
    """

    namespace: str
    pod: str
    generated: bool
    owner: str
    policy: str
    operation: str
    dry_run: bool
    outcome: str
    reason: str
    problem: bool
    first: datetime
    last: datetime
    count: int
    total: int
    images: tuple[ImageRecord, ...]
    match: MatchRank


@dataclass(frozen=True, slots=True)
class NamespaceRecord:
    """What is known of a namespace: all its reviews *since* a time, and how many came at all."""

    since: datetime
    reviews: int


@dataclass(frozen=True, slots=True)
class FoundPods:
    """The answer to a query.

    Attributes:
        pods: The Pods, the best match first, then the latest.
        found: How many match, if there were no limit.
        since: All reviews of all namespaces since then are known.
        floor: The same for a namespace of which no review is known.
        namespaces: What is known of the namespaces that the query names.
    """

    pods: tuple[PodRecord, ...]
    found: int
    since: datetime
    floor: datetime
    namespaces: dict[str, NamespaceRecord]


@dataclass(frozen=True, slots=True)
class MinuteCounts:
    """How many images of one minute were rewritten, unchanged, or decided with a warning."""

    start: datetime
    rewritten: int
    unchanged: int
    warned: int


# Policy, name, operation, whether it is a dry run, and the decisions or the reason.
_Key: TypeAlias = tuple[str, str, str, bool, bytes | str]


class _Entry:
    """One record, as it is kept; `PodRecord` is made of it when somebody reads it."""

    __slots__ = (
        "count",
        "first",
        "generated",
        "last",
        "outcome",
        "owner",
        "problem",
        "reason",
        "total",
    )

    def __init__(self, review: ReviewRecord, now: float) -> None:
        result, metadata = review.result, review.metadata
        self.first = self.last = now
        self.count = 0
        self.outcome = result.outcome
        self.total = len(result.images)
        self.reason = result.reason[:MAX_TEXT]
        self.problem = bool(result.warning or result.totals.warned)
        self.generated = False
        self.owner = ""
        if metadata is not None:
            self.generated = _is_generated(review.pod, metadata)
            self.owner = _describe_owner(metadata)


class _Space:
    """The records of one namespace, those that were updated last at the end."""

    __slots__ = ("entries", "last", "reviews", "since", "size")

    def __init__(self, since: float, size: int) -> None:
        self.entries: dict[_Key, _Entry] = {}
        self.since = self.last = since
        self.size = size
        self.reviews = 0


class History:
    """Keeps the latest decisions, the counts of the last hour, and the use of each mirror.

    Args:
        clock: Returns seconds since the epoch.

    Attributes:
        shares: How many images each mirror got since the start, by policy, rule and target.
            The rules bound their number.
        last_review: When the last review came, in seconds since the epoch; 0 before the first.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._spaces: dict[str, _Space] = {}
        self._bytes = 0
        # Since when namespaces that are not in memory are known: since the start, or since the
        # last review of one that was dropped.
        self._floor = clock()
        self._minutes = [(0, [0, 0, 0]) for _ in range(MINUTES)]
        self.shares: Counter[tuple[str, str, str]] = Counter()
        self.last_review = 0.0

    def record(self, review: ReviewRecord) -> None:
        """Record one review."""
        now = self.last_review = self._clock()
        result = review.result
        if result.images:
            totals = result.totals
            minute = int(now) // 60
            number, counts = self._minutes[minute % MINUTES]
            if number != minute:
                counts = [0, 0, 0]
                self._minutes[minute % MINUTES] = minute, counts
            counts[0] += totals.rewritten
            counts[1] += totals.images - totals.rewritten - totals.warned
            counts[2] += totals.warned
            for (rule, target), count in totals.shares:
                self.shares[review.policy, rule, target] += count
        elif not result.warning and (
            result.outcome is not ReviewOutcome.SKIPPED or review.operation != "CREATE"
        ):
            return
        space = self._spaces.get(review.namespace)
        if space is None:
            size = NAMESPACE_BYTES + review.namespace.__sizeof__()
            space = self._spaces[review.namespace] = _Space(self._floor, size)
            self._bytes += size
        key = (
            review.policy,
            review.pod,
            review.operation,
            review.dry_run,
            result.summary if result.images else result.reason,
        )
        entry = space.entries.pop(key, None)
        if entry is None:
            entry = _Entry(review, now)
            size = _estimate_bytes(key, entry)
            space.size += size
            self._bytes += size
        entry.last = space.last = now
        entry.count += 1
        space.reviews += 1
        space.entries[key] = entry
        if self._bytes > MAX_BYTES:
            self._drop_records()

    def find(self, query: PodQuery) -> FoundPods:
        """Return the Pods that match a query."""
        # Copies, because the console reads in another thread.
        spaces = {name: each for name, each in tuple(self._spaces.items()) if query.covers(name)}
        found = [
            (rank, -entry.last, name, key, entry)
            for name, space in spaces.items()
            for key, entry in tuple(space.entries.items())
            if (rank := _match(query, name, key, entry)) is not None
        ]
        latest = nsmallest(query.limit, found, key=itemgetter(0, 1))
        floor = self._floor
        names = {query.pod_name} & spaces.keys() | query.named_namespaces
        return FoundPods(
            pods=tuple(_make_record(*each) for each in latest),
            found=len(found),
            since=_utc(max((floor, *(space.since for space in spaces.values())))),
            floor=_utc(floor),
            namespaces={
                name: NamespaceRecord(_utc(spaces[name].since), spaces[name].reviews)
                if name in spaces
                else NamespaceRecord(_utc(floor), 0)
                for name in names
            },
        )

    def list_minutes(self) -> list[MinuteCounts]:
        """Return the counts of each of the last sixty minutes, the current one last."""
        current = int(self._clock()) // 60
        hour = []
        for minute in range(current - MINUTES + 1, current + 1):
            number, counts = self._minutes[minute % MINUTES]
            start = _utc(minute * 60)
            hour.append(MinuteCounts(start, *(counts if number == minute else (0, 0, 0))))
        return hour

    def _drop_records(self) -> None:
        """Drop the oldest records of the namespaces that have the most of them.

        Of namespaces of about the same size, those without recent reviews come first.
        """
        fair = _find_fair_size([space.size for space in self._spaces.values()], KEPT_BYTES)
        for name, space in sorted(
            self._spaces.items(), key=lambda each: (-each[1].size.bit_length(), each[1].last)
        ):
            dropped = []
            for key, entry in space.entries.items():
                if space.size <= fair or self._bytes <= KEPT_BYTES:
                    break
                dropped.append(key)
                space.since = entry.last
                size = _estimate_bytes(key, entry)
                space.size -= size
                self._bytes -= size
            for key in dropped:
                del space.entries[key]
            if not space.entries:
                del self._spaces[name]
                self._bytes -= space.size
                self._floor = max(self._floor, space.since)
            if self._bytes <= KEPT_BYTES:
                return


def merge_found(answers: Iterable[FoundPods], limit: int) -> FoundPods:
    """Return the answers of several replicas as one."""
    answers = list(answers)
    merged: dict[PodRecord, PodRecord] = {}
    for pod in (pod for answer in answers for pod in answer.pods):
        key = replace(pod, first=_utc(0), last=_utc(0), count=0)
        same = merged.get(key)
        if same is not None:
            first, last = min(pod.first, same.first), max(pod.last, same.last)
            pod = replace(pod, first=first, last=last, count=pod.count + same.count)  # noqa: PLW2901
        merged[key] = pod
    pods = sorted(merged.values(), key=lambda each: (each.match, -each.last.timestamp()))
    duplicates = sum(len(answer.pods) for answer in answers) - len(pods)
    known = {
        name: [
            answer.namespaces.get(name) or NamespaceRecord(answer.floor, 0) for answer in answers
        ]
        for answer in answers
        for name in answer.namespaces
    }
    return FoundPods(
        pods=tuple(pods[:limit]),
        found=sum(answer.found for answer in answers) - duplicates,
        since=max(answer.since for answer in answers),
        floor=max(answer.floor for answer in answers),
        namespaces={
            name: NamespaceRecord(
                max(each.since for each in records), sum(each.reviews for each in records)
            )
            for name, records in known.items()
        },
    )


def _find_fair_size(sizes: list[int], limit: int) -> int:
    """Return the size to which the largest have to shrink so that all fit into the limit."""
    left = limit
    for count, size in zip(range(len(sizes), 0, -1), sorted(sizes), strict=True):
        if size * count > left:
            return left // count
        left -= size
    return limit


def _estimate_bytes(key: _Key, entry: _Entry) -> int:
    """Return how many bytes a record takes at most; its decisions may be shared with others."""
    _, pod, operation, _, content = key
    texts = (pod, operation, content, entry.reason, entry.owner)
    return RECORD_BYTES + sum(text.__sizeof__() for text in texts)


def _is_generated(pod: str, metadata: ObjectMeta) -> bool:
    return bool(pod) and not metadata.name and pod == (metadata.generate_name or "")[: len(pod)]


def _describe_owner(metadata: ObjectMeta) -> str:
    """Return kind and name of what controls a Pod: of the Deployment, not of its ReplicaSet."""
    controller = metadata.controller
    if controller is None:
        return ""
    kind, name = (controller.kind or "")[:MAX_TEXT], (controller.name or "")[:MAX_TEXT]
    template = (metadata.labels or {}).get(HASH_LABEL)
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        kind, name = "Deployment", name.removesuffix(f"-{template}")
    return f"{kind}/{name}"


def _match(query: PodQuery, namespace: str, key: _Key, entry: _Entry) -> MatchRank | None:
    _, pod, _, _, content = key
    images = content if isinstance(content, bytes) else b""
    if query.problems and not entry.problem:
        return None
    if (
        query.outcome
        and query.outcome != entry.outcome
        and f'"outcome":"{query.outcome}"'.encode() not in images
    ):
        return None
    rank = query.match(namespace, pod, entry.owner, generated=entry.generated)
    if rank is None and query.may_be_in(images):
        decisions = _read_images(images)
        if any(query.is_part_of(text) for each in decisions for text in (each.image, each.result)):
            return MatchRank.PART
    return rank


def _make_record(
    rank: MatchRank, _order: float, namespace: str, key: _Key, entry: _Entry
) -> PodRecord:
    policy, pod, operation, dry_run, content = key
    images = content if isinstance(content, bytes) else b""
    reason = ERROR_REASON if entry.outcome is ReviewOutcome.ERROR else entry.reason
    return PodRecord(
        namespace=namespace,
        pod=pod,
        generated=entry.generated,
        owner=entry.owner,
        policy=policy,
        operation=operation,
        dry_run=dry_run,
        outcome=str(entry.outcome),
        reason=reason,
        problem=entry.problem,
        first=_utc(entry.first),
        last=_utc(entry.last),
        count=entry.count,
        total=entry.total,
        images=tuple(_read_images(images)),
        match=rank,
    )


def _read_images(images: bytes) -> Iterator[ImageRecord]:
    return (ImageRecord(**each) for each in json.loads(images or b"[]"))


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

"""Detecting operators that keep recreating the same Pod because its image was rewritten.

Such an operator compares the image of a running Pod with the one it asked for, deletes the
Pod, and creates it again under its name, without end. A rollout creates each name only once.
So Pods are counted by name. Pods whose name the API server makes are not, as those of a rollout
are all alike, unless their controller is known to compare images. Kubernetes' own controllers
compare none, so Pods that they create are never counted. Neither are Pods without a controller.

If client certificates are not verified, anybody in the network may send reviews. So reviews from
one address never change the answers to another: a client that forges a loop affects only its
own reviews, and not those of the API server.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from webhook.core import LoopLimits, Outcome
from webhook.objects import ImageDecision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from webhook.admission.request import AdmissionRequest
    from webhook.objects import OwnerReference

__all__ = ["LoopCounts", "LoopDetector", "LoopObserver", "StoppedOwner", "keep_originals"]

MAX_PODS: Final = 2048
MAX_OWNERS: Final = 1024
# The longest that Kubernetes allows for names and kinds.
MAX_NAME: Final = 253
# The least time in seconds to delete a Pod and create it again. If a Pod comes sooner, it is the
# same Pod (reinvocation), or one of many that are created at once.
MIN_SECONDS: Final = 1.0
# An owner whose Pods have a generateName may also create more of them, one by one.
UNNAMED_FACTOR: Final = 3
# Seconds for which an owner is skipped at first, and at most. That ends the loop, as the
# operator gets the image that it asked for; the next loop, after the Pod was restarted for
# another reason, is skipped for twice as long.
FIRST_SKIP: Final = 3600.0
MAX_SKIP: Final = 24 * 3600.0

# Their controllers compare a hash of the template, or nothing, but never an image. A StatefulSet
# is not one of them: operators on top of it compare and delete its Pods.
TRUSTED: Final = frozenset(
    {
        ("apps", "ReplicaSet"),
        ("apps", "DaemonSet"),
        ("batch", "Job"),
        ("", "ReplicationController"),
        ("", "Node"),
    }
)
# They compare images, and leave the names of their Pods to the API server.
UNNAMED_LOOPS: Final = frozenset({("operators.coreos.com", "CatalogSource")})


@dataclass(frozen=True, slots=True)
class StoppedOwner:
    """An owner whose Pods are no longer rewritten.

    Attributes:
        namespace: Its namespace.
        kind: Its kind.
        name: Its name.
        pod: The name or generateName of the Pod that it keeps creating.
        reason: What it did, for people.
    """

    namespace: str
    kind: str
    name: str
    pod: str
    reason: str


class LoopObserver(Protocol):
    """Records owners whose Pods are no longer rewritten, in logs and metrics."""

    def record_loop(self, owner: StoppedOwner) -> None:
        """Record an owner."""


class LoopCounts:
    """What loop detectors remember, within bounds; those with different limits may share it.

    Attributes:
        pods: When a Pod was created. The keys are hashes, and times are packed: names of any
            length take the same memory.
        owners: Until when an owner is skipped, and for how long that is.
    """

    def __init__(self) -> None:
        self.pods: OrderedDict[int, array[float]] = OrderedDict()
        self.owners: OrderedDict[int, tuple[float, float]] = OrderedDict()


class LoopDetector:
    """Counts how often the same Pod is created, and skips owners that create it too often.

    It keeps its counts in memory, within bounds, for as long as the process runs.

    Args:
        limits: How often is too often.
        clock: Returns monotonic seconds.
        observer: Records owners whose Pods are no longer rewritten.
        counts: Where it keeps its counts.
    """

    def __init__(
        self,
        limits: LoopLimits,
        clock: Callable[[], float],
        observer: LoopObserver,
        counts: LoopCounts | None = None,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._observer = observer
        counts = counts or LoopCounts()
        self._pods = counts.pods
        self._owners = counts.owners

    def check(self, request: AdmissionRequest, images: Iterable[ImageDecision], client: str) -> str:
        """Count a Pod that is created, and return why it is not rewritten; empty if it is.

        Args:
            request: The creation of a Pod.
            images: Its images, each with its decision.
            client: The address that the request came from.
        """
        metadata = request.object.metadata if request.object else None
        owner = metadata.controller if metadata else None
        if metadata is None or owner is None:
            return ""
        kind = _group_kind(owner)
        if kind in TRUSTED or not (metadata.name or kind in UNNAMED_LOOPS):
            return ""
        now = self._clock()
        times = self._limits.times * (1 if metadata.name else UNNAMED_FACTOR)
        key = hash((client, request.namespace, owner.uid))
        until, seconds = self._owners.get(key, (0.0, FIRST_SKIP / 2))
        if now < until:
            return self._describe_loop(owner, times)
        if request.dry_run:
            return ""
        pod = metadata.name or metadata.generate_name or ""
        originals = tuple([decision.original for _, decision in images])
        seen = self._find_creations(hash((key, pod, originals)))
        if seen and now - seen[-1] < MIN_SECONDS:
            if not metadata.name:
                del seen[:]
            return ""
        seen.append(now)
        del seen[:-times]
        if len(seen) < times or now - seen[0] > self._limits.within:
            return ""
        del seen[:]
        seconds = min(2 * seconds, MAX_SKIP)
        self._owners[key] = now + seconds, seconds
        self._owners.move_to_end(key)
        if len(self._owners) > MAX_OWNERS:
            self._owners.popitem(last=False)
        reason = self._describe_loop(owner, times)
        self._observer.record_loop(
            StoppedOwner(
                namespace=_cut(request.namespace),
                kind=_cut(owner.kind),
                name=_cut(owner.name),
                pod=_cut(pod),
                reason=reason,
            )
        )
        return reason

    def _find_creations(self, key: int) -> array[float]:
        """Return the latest times at which a Pod was created."""
        seen = self._pods.get(key)
        if seen is None:
            seen = self._pods[key] = array("d")
            if len(self._pods) > MAX_PODS:
                self._pods.popitem(last=False)
        else:
            self._pods.move_to_end(key)
        return seen

    def _describe_loop(self, owner: OwnerReference, times: int) -> str:
        return (
            f"{_cut(owner.kind)} {_cut(owner.name)} created this Pod {times} times in "
            f"{self._limits.within:g}s, probably because it compares images; name the mirror "
            "there, or opt the Pod out"
        )


def keep_originals(images: Iterable[ImageDecision], reason: str) -> tuple[ImageDecision, ...]:
    """Return the decisions to keep all images, for *reason* where they would be rewritten."""
    return tuple(
        image
        if image.decision.candidate is None
        else ImageDecision(
            image.field,
            image.decision._replace(outcome=Outcome.LOOPING, reason=reason, candidate=None),
        )
        for image in images
    )


def _group_kind(owner: OwnerReference) -> tuple[str, str]:
    """Return the API group and the kind of an owner."""
    group, slash, _ = (owner.api_version or "").partition("/")
    return group if slash else "", owner.kind or ""


def _cut(name: str | None) -> str:
    return (name or "")[:MAX_NAME]

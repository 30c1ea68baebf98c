"""Operators that take a rewritten Pod for a wrong one: noticed, and left alone.

Such an operator compares the image of a running Pod with the one it asked for, deletes
the Pod, and makes the same one again. It makes one Pod after the other, for ever, while
a restart of many makes each once. Kubernetes' own controllers compare no images: they
are never counted, however often they make Pods. Pods without a controller are not
either, as nobody is there who could compare.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from webhook.core import LoopLimits, Outcome
from webhook.objects import ImageDecision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from webhook.admission.request import AdmissionRequest
    from webhook.objects import OwnerReference

__all__ = ["LoopDetector", "LoopObserver", "StoppedOwner", "keep_originals"]

MAX_PODS: Final = 2048
MAX_OWNERS: Final = 1024
# A Pod is gone, and there again, in no less. What comes sooner is the same Pod, seen twice
# (reinvocation), or one of many that are made at once.
APART: Final = 1.0
# A set whose Pods have no names of their own may also grow, one by one.
UNNAMED_FACTOR: Final = 3
# Long enough for somebody to read the alert.
REST: Final = 24 * 3600.0

# Their controllers compare a hash of the template, or nothing: never an image. The Pods
# of a StatefulSet are compared and deleted by operators on top of it.
TRUSTED: Final = frozenset(
    {
        ("apps", "ReplicaSet"),
        ("apps", "DaemonSet"),
        ("batch", "Job"),
        ("", "ReplicationController"),
        ("", "Node"),
    }
)


@dataclass(frozen=True, slots=True)
class StoppedOwner:
    """An owner whose Pods are left alone from now on.

    Attributes:
        namespace: Its namespace.
        kind: Its kind.
        name: Its name.
        pod: The Pod that it makes again and again, or what its name is made of.
        reason: What it did, in words.
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


class LoopDetector:
    """Counts how often the same Pod comes, and leaves owners alone that make it too often.

    All is kept in memory, the latest first within bounds, and forgotten with the process.

    Args:
        limits: How often is too often.
        clock: Gives seconds that only grow.
        observer: Records owners whose Pods are no longer rewritten.
    """

    def __init__(
        self, limits: LoopLimits, clock: Callable[[], float], observer: LoopObserver
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._observer = observer
        # By hashes: names of any length take the same memory.
        self._pods: OrderedDict[int, deque[float]] = OrderedDict()
        self._owners: OrderedDict[int, tuple[float, str]] = OrderedDict()

    def check(self, request: AdmissionRequest, images: Iterable[ImageDecision]) -> str:
        """Count a Pod, and return why it is not rewritten; empty if it is.

        Args:
            request: The creation of a Pod.
            images: Its images, each with its decision.
        """
        metadata = request.object.metadata if request.object else None
        owner = metadata.controller if metadata else None
        if metadata is None or owner is None or group_kind(owner) in TRUSTED:
            return ""
        now = self._clock()
        key = hash((request.namespace, owner.uid))
        until, reason = self._owners.get(key, (0.0, ""))
        if now < until:
            return reason
        if request.dry_run:
            return ""
        pod = metadata.name or metadata.generate_name or ""
        times = self._limits.times * (1 if metadata.name else UNNAMED_FACTOR)
        originals = tuple([decision.original for _, decision in images])
        seen = self._seen(hash((key, pod, originals)), times)
        if seen and now - seen[-1] < APART:
            if not metadata.name:
                seen.clear()
            return ""
        seen.append(now)
        if len(seen) < times or now - seen[0] > self._limits.within:
            return ""
        return self._stop(key, now, request.namespace or "", owner, pod, times)

    def _seen(self, key: int, times: int) -> deque[float]:
        seen = self._pods.get(key)
        if seen is None:
            seen = self._pods[key] = deque(maxlen=times)
            if len(self._pods) > MAX_PODS:
                self._pods.popitem(last=False)
        else:
            self._pods.move_to_end(key)
        return seen

    def _stop(
        self,
        key: int,
        now: float,
        namespace: str,
        owner: OwnerReference,
        pod: str,
        times: int,
    ) -> str:
        kind, name = owner.kind or "", owner.name or ""
        reason = (
            f"{kind} {name} made this Pod {times} times in {self._limits.within:g}s, as if "
            "the mirror were a wrong image; name the mirror there, or opt the Pod out"
        )
        self._owners[key] = now + REST, reason
        self._owners.move_to_end(key)
        if len(self._owners) > MAX_OWNERS:
            self._owners.popitem(last=False)
        self._observer.record_loop(StoppedOwner(namespace, kind, name, pod, reason))
        return reason


def group_kind(owner: OwnerReference) -> tuple[str, str]:
    """Return the API group and the kind of an owner."""
    group, slash, _ = (owner.api_version or "").partition("/")
    return group if slash else "", owner.kind or ""


def keep_originals(images: Iterable[ImageDecision], reason: str) -> tuple[ImageDecision, ...]:
    """Return decisions of which those that would change an image leave it, for *reason*."""
    return tuple(
        image
        if image.decision.candidate is None
        else ImageDecision(
            image.field,
            image.decision._replace(outcome=Outcome.LOOPING, reason=reason, candidate=None),
        )
        for image in images
    )

"""Detecting operators that keep recreating the same Pod because its image was rewritten.

Such an operator compares the image of a running Pod with the one it asked for, deletes the
Pod, and creates the same one again, without end. A restart of many Pods creates each only
once. Kubernetes' own controllers compare no images, so Pods that they create are never
counted. Neither are Pods without a controller, as nothing would compare their images.
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
# The longest that Kubernetes allows for names and kinds; more would only take memory.
MAX_NAME: Final = 253
# Seconds that it takes at least until a Pod is gone and created again. If a Pod comes sooner,
# it is the same Pod (reinvocation), or one of many that are created at once.
MIN_SECONDS: Final = 1.0
# An owner whose Pods have a generateName may also create more of them, one by one.
UNNAMED_FACTOR: Final = 3
# Seconds for which an owner stays skipped: long enough for somebody to read the alert.
SKIP_SECONDS: Final = 24 * 3600.0

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


class LoopDetector:
    """Counts how often the same Pod is created, and skips owners that create it too often.

    It keeps its counts in memory, within bounds, for as long as the process runs.

    Args:
        limits: How often is too often.
        clock: Returns monotonic seconds.
        observer: Records owners whose Pods are no longer rewritten.
    """

    def __init__(
        self, limits: LoopLimits, clock: Callable[[], float], observer: LoopObserver
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._observer = observer
        # The keys are hashes: names of any length take the same memory.
        self._pods: OrderedDict[int, deque[float]] = OrderedDict()
        self._owners: OrderedDict[int, tuple[float, str]] = OrderedDict()

    def check(self, request: AdmissionRequest, images: Iterable[ImageDecision]) -> str:
        """Count a Pod that is created, and return why it is not rewritten; empty if it is.

        Args:
            request: The creation of a Pod.
            images: Its images, each with its decision.
        """
        metadata = request.object.metadata if request.object else None
        owner = metadata.controller if metadata else None
        if metadata is None or owner is None or _group_kind(owner) in TRUSTED:
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
        seen = self._find_creations(hash((key, pod, originals)), times)
        if seen and now - seen[-1] < MIN_SECONDS:
            if not metadata.name:
                seen.clear()
            return ""
        seen.append(now)
        if len(seen) < times or now - seen[0] > self._limits.within:
            return ""
        stopped = self._describe_loop(owner, request.namespace or "", pod, times)
        self._owners[key] = now + SKIP_SECONDS, stopped.reason
        self._owners.move_to_end(key)
        if len(self._owners) > MAX_OWNERS:
            self._owners.popitem(last=False)
        self._observer.record_loop(stopped)
        return stopped.reason

    def _find_creations(self, key: int, times: int) -> deque[float]:
        """Return when a Pod was created last, at most as often as counts."""
        seen = self._pods.get(key)
        if seen is None:
            seen = self._pods[key] = deque(maxlen=times)
            if len(self._pods) > MAX_PODS:
                self._pods.popitem(last=False)
        else:
            self._pods.move_to_end(key)
        return seen

    def _describe_loop(
        self, owner: OwnerReference, namespace: str, pod: str, times: int
    ) -> StoppedOwner:
        kind, name = (owner.kind or "")[:MAX_NAME], (owner.name or "")[:MAX_NAME]
        reason = (
            f"{kind} {name} created this Pod {times} times in {self._limits.within:g}s, probably "
            "because it compares images; name the mirror there, or opt the Pod out"
        )
        return StoppedOwner(namespace, kind, name, pod, reason)


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

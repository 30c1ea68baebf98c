"""
What becomes of a request: the outcome table of the webhook.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from webhook.admission.loops import Loops, left_alone
from webhook.objects import (
    EPHEMERAL_CONTAINERS,
    VOLUMES,
    ImageSlot,
    Operation,
    Placement,
    Pod,
    exempt,
    image_operations,
    image_slots,
    record_operation,
    rewrite,
    secret_operations,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from webhook.admission.review import AdmissionRequest
    from webhook.core import Decision

__all__ = ["Choice", "Policy", "Result", "Verdict", "judge", "judge_asking"]

EPHEMERAL_SUBRESOURCE: Final = "ephemeralcontainers"


class Result(StrEnum):
    """
    What became of a review; also a label of the metric.
    """

    PATCHED = "patched"
    UNCHANGED = "unchanged"
    OBSERVED = "observed"  # it would have been patched
    SKIPPED = "skipped"
    ERROR = "error"


class Choice(Protocol):
    """
    Who chooses among the candidates of images by what their registries have.
    """

    async def choose(self, decisions: Sequence[Decision], seconds: float) -> list[Decision]:
        """
        Return what becomes of some images, in their order.

        Args:
            decisions: What would become of each if every mirror had it.
            seconds: How long the answer can take.
        """


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How one set of rules is applied to requests.

    Attributes:
        name: Its name, the last part of the path it is served at.
        decide: Decides on one image.
        observe: Decide only, and patch nothing.
        record: Write the images as they were into an annotation of the Pod.
        loops: Knows owners that make the same Pod again and again; None for nobody.
        choice: Chooses where availability is checked; None takes the first candidate.
    """

    name: str
    decide: Callable[[str], Decision]
    observe: bool = False
    record: bool = True
    choice: Choice | None = None
    loops: Loops | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What becomes of one request.

    Attributes:
        result: The outcome as a whole.
        reason: Why nothing was looked at; empty where the images were.
        placements: The images that were looked at, each with its decision.
        operations: The patch; empty for none.
    """

    result: Result
    reason: str = ""
    placements: tuple[Placement, ...] = ()
    operations: tuple[Operation, ...] = ()


def judge(request: AdmissionRequest, policy: Policy) -> Verdict:
    """
    Say what becomes of *request* under *policy*, where every mirror has every image.
    """
    skipped, placements = placed(request, policy)
    return skipped or carried_out(request, policy, placements)


async def judge_asking(
    request: AdmissionRequest, policy: Policy, choice: Choice, seconds: float
) -> Verdict:
    """
    Say what becomes of *request* under *policy*, by what mirrors have.

    Args:
        request: The request.
        policy: The policy.
        choice: Chooses among candidates.
        seconds: How long the answer can take.
    """
    skipped, placements = placed(request, policy)
    if skipped:
        return skipped
    chosen = await choice.choose([decision for _, decision in placements], seconds)
    placements = [
        placement if placement.decision is decision else Placement(placement.slot, decision)
        for placement, decision in zip(placements, chosen, strict=True)
    ]
    return carried_out(request, policy, placements)


def placed(
    request: AdmissionRequest, policy: Policy
) -> tuple[Verdict | None, list[Placement]]:
    """
    Return the decisions on the images in question; or the verdict that there are none.
    """
    pod = request.object
    reason = unconcerned(request, pod)
    if reason or pod is None:
        return Verdict(Result.SKIPPED, reason), []
    return None, rewrite(slots_in_question(request, pod), policy.decide)


def carried_out(
    request: AdmissionRequest, policy: Policy, decided: list[Placement]
) -> Verdict:
    """
    Return the verdict that carries out decisions.
    """
    pod = request.object
    placements = tuple(decided)
    operations = image_operations(placements)
    if not operations or pod is None:
        return Verdict(Result.UNCHANGED, placements=placements)
    if policy.observe:
        return Verdict(Result.OBSERVED, placements=placements)
    if policy.loops is not None and request.operation == "CREATE":
        reason = policy.loops.reason(request, placements)
        if reason:
            return Verdict(Result.UNCHANGED, placements=left_alone(placements, reason))
    # Of a Pod that is there, the API server lets nobody change these.
    if request.operation == "CREATE":
        operations += secret_operations(pod.spec, placements)
    # The API server drops changes of metadata that come with ephemeral containers.
    if policy.record and not request.sub_resource:
        record = record_operation(pod.metadata, placements)
        if record is not None:
            operations.append(record)
    return Verdict(Result.PATCHED, placements=placements, operations=tuple(operations))


def unconcerned(request: AdmissionRequest, pod: Pod | None) -> str:
    """
    Say why the images of *request* are not looked at; empty if they are.
    """
    kind = request.kind
    if kind is None or kind.kind != "Pod" or kind.group:
        return "it is not a Pod"
    if request.operation not in ("CREATE", "UPDATE"):
        return f"the operation is {request.operation or 'not given'}"
    if request.sub_resource and request.sub_resource != EPHEMERAL_SUBRESOURCE:
        return f"the subresource is {request.sub_resource}"
    if pod is None:
        return "it has no object"
    if request.operation == "UPDATE" and request.old_object is None:
        return "it is an UPDATE without its oldObject"
    return exempt(pod.metadata)


def slots_in_question(request: AdmissionRequest, pod: Pod) -> list[ImageSlot]:
    """
    Return the images that *request* brings in.

    Those that a running Pod has already would restart its containers, and an
    ephemeral container or a volume cannot be changed once it is there.
    """
    if pod.spec is None:
        return []
    slots = image_slots(pod.spec)
    old = request.old_object
    if request.operation == "CREATE" or old is None:
        return slots
    before = {
        (slot.field, slot.name): slot.image
        for slot in (image_slots(old.spec) if old.spec else ())
    }
    if request.sub_resource:
        return [
            slot
            for slot in slots
            if slot.field == EPHEMERAL_CONTAINERS and (slot.field, slot.name) not in before
        ]
    return [
        slot
        for slot in slots
        if slot.field != VOLUMES and before.get((slot.field, slot.name)) != slot.image
    ]

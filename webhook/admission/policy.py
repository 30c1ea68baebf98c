"""What becomes of a request: the outcome table of the webhook."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from webhook.admission.loops import Loops, left_alone
from webhook.admission.plans import Plans
from webhook.admission.verdict import Result, Verdict
from webhook.objects import (
    EPHEMERAL_CONTAINERS,
    VOLUMES,
    ImageSlot,
    Pod,
    RecordPlace,
    exempt,
    image_slots,
    record_place,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from webhook.admission.casting import CastPlan
    from webhook.admission.plan import Plan
    from webhook.admission.review import AdmissionRequest
    from webhook.core import Decision

__all__ = ["Choice", "Policy", "judge", "judge_asking"]

ANY_SIZE: Final = sys.maxsize
EPHEMERAL_SUBRESOURCE: Final = "ephemeralcontainers"


class Choice(Protocol):
    """Who chooses among the candidates of images by what their registries have."""

    def known(self, decisions: Sequence[Decision]) -> list[Decision] | None:
        """Return what becomes of some images, in their order; None if that takes asking."""

    async def choose(self, decisions: Sequence[Decision], seconds: float) -> list[Decision]:
        """Return what becomes of some images, in their order.

        Args:
            decisions: What would become of each if every mirror had it.
            seconds: How long the answer can take.
        """


@dataclass(frozen=True, slots=True)
class Policy:
    """How one set of rules is applied to requests.

    Attributes:
        name: Its name, the last part of the path it is served at.
        decide: Decides on one image, always in the same way.
        observe: Decide only, and patch nothing.
        record: Write the images as they were into an annotation of the Pod.
        loops: Knows owners that make the same Pod again and again; None for nobody.
        choice: Chooses where availability is checked; None takes the first candidate.
        plans: Remembers what becomes of Pods.
    """

    name: str
    decide: Callable[[str], Decision]
    observe: bool = False
    record: bool = True
    choice: Choice | None = None
    loops: Loops | None = None
    plans: Plans = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plans", Plans(self.decide))


def judge(request: AdmissionRequest, policy: Policy, size: int = ANY_SIZE) -> Verdict | None:
    """Say what becomes of *request* under *policy*; None if mirrors have to be asked first.

    Args:
        request: The request.
        policy: The policy.
        size: How many bytes it has at most, as JSON.
    """
    pod = request.object
    reason = unconcerned(request, pod)
    if reason or pod is None:
        return Verdict(Result.SKIPPED, reason)
    plan = planned(request, pod, policy)
    if policy.choice is not None:
        chosen = policy.choice.known(plan.decisions)
        if chosen is None:
            return None
        plan = plan.chosen(chosen)
    return carried_out(request, pod, policy, plan, size)


async def judge_asking(
    request: AdmissionRequest, policy: Policy, seconds: float, size: int = ANY_SIZE
) -> Verdict:
    """Say what becomes of *request* under *policy*, by what mirrors have.

    Args:
        request: The request.
        policy: The policy.
        seconds: How long the answer can take.
        size: How many bytes it has at most, as JSON.
    """
    pod = request.object
    reason = unconcerned(request, pod)
    if reason or pod is None:
        return Verdict(Result.SKIPPED, reason)
    plan = planned(request, pod, policy)
    if policy.choice is not None:
        plan = plan.chosen(await policy.choice.choose(plan.decisions, seconds))
    return carried_out(request, pod, policy, plan, size)


def planned(request: AdmissionRequest, pod: Pod, policy: Policy) -> Plan | CastPlan:
    """Return what becomes of the images that *request* brings in."""
    if request.operation == "CREATE":
        return policy.plans.of(pod.spec)
    return policy.plans.for_some(slots_in_question(request, pod))


def carried_out(
    request: AdmissionRequest, pod: Pod, policy: Policy, plan: Plan | CastPlan, size: int
) -> Verdict:
    """Return the verdict that carries out a plan, as far as the policy lets it."""
    if not plan.changes:
        return plan.leaving(Result.UNCHANGED)
    if policy.observe:
        return plan.leaving(Result.OBSERVED)
    if policy.loops is not None and request.operation == "CREATE":
        reason = policy.loops.reason(request, plan)
        if reason:
            placements = left_alone(plan.placements, reason)
            return Verdict(Result.UNCHANGED, placements=placements)
    # The API server drops changes of metadata that come with ephemeral containers.
    records = policy.record and not request.sub_resource
    place = record_place(pod.metadata, size) if records else RecordPlace.NOWHERE
    return plan.patching(pod, place)


def unconcerned(request: AdmissionRequest, pod: Pod | None) -> str:
    """Say why the images of *request* are not looked at; empty if they are."""
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
    """Return the images that an update brings in.

    Those that a running Pod has already would restart its containers, and an
    ephemeral container or a volume cannot be changed once it is there.
    """
    old = request.old_object
    if pod.spec is None or old is None:
        return []
    slots = image_slots(pod.spec)
    before = {
        (slot.field, slot.name): slot.image for slot in (image_slots(old.spec) if old.spec else ())
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

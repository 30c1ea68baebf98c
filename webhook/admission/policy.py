"""
What becomes of a request: the outcome table of the webhook.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

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
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.admission.review import AdmissionRequest
    from webhook.core import Decision

__all__ = ["Policy", "Result", "Verdict", "judge"]

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


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How one set of rules is applied to requests.

    Attributes:
        name: Its name, the last part of the path it is served at.
        decide: Decides on one image.
        observe: Decide only, and patch nothing.
        record: Write the images as they were into an annotation of the Pod.
    """

    name: str
    decide: Callable[[str], Decision]
    observe: bool = False
    record: bool = True


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
    Say what becomes of *request* under *policy*.
    """
    pod = request.object
    reason = unconcerned(request, pod)
    if reason or pod is None:
        return Verdict(Result.SKIPPED, reason)
    placements = tuple(rewrite(slots_in_question(request, pod), policy.decide))
    operations = image_operations(placements)
    if not operations:
        return Verdict(Result.UNCHANGED, placements=placements)
    if policy.observe:
        return Verdict(Result.OBSERVED, placements=placements)
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

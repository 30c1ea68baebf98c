"""
What becomes of the images of a Pod, worked out once for all Pods with the same images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.admission.memory import Memory, following
from webhook.admission.verdict import Result, Verdict
from webhook.objects import (
    VOLUMES,
    ImageSlot,
    Placement,
    RecordPlace,
    image_operations,
    image_slots,
    record_operation,
    record_place,
    rewrite,
    secret_operations,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from webhook.core import Decision
    from webhook.objects import Operation, Pod, PodSpec, Volume

__all__ = ["Plan", "Plans"]

SIZE: Final = 256
MAX_CHARACTERS: Final = 4096
MAX_ENTRIES: Final = 256


class Plan:
    """
    Decisions on images, and the verdicts that carry them out.

    Args:
        placements: The images that are looked at, each with its decision.
        spec: The spec, if Secrets can be added to it.
    """

    __slots__ = ("_chosen", "_spec", "_verdicts", "decisions", "operations", "placements")

    def __init__(self, placements: Sequence[Placement], spec: PodSpec | None) -> None:
        self.placements = tuple(placements)
        self.decisions = [decision for _, decision in self.placements]
        self.operations: list[Operation] = image_operations(self.placements)
        if self.operations and spec is not None:
            self.operations += secret_operations(spec, self.placements)
        self._spec = spec
        self._chosen: Plan | None = None
        self._verdicts: dict[Result | RecordPlace, Verdict] = {}

    def chosen(self, decisions: Sequence[Decision]) -> Plan:
        """
        Return the plan for other decisions on the same images.
        """
        if decisions == self.decisions:
            return self
        plan = self._chosen
        if plan is None or decisions != plan.decisions:
            slots = (slot for slot, _ in self.placements)
            placements = [*map(Placement, slots, decisions)]
            plan = self._chosen = Plan(placements, self._spec)
        return plan

    def leaving(self, result: Result) -> Verdict:
        """
        Return the verdict that changes nothing.
        """
        verdict = self._verdicts.get(result)
        if verdict is None:
            verdict = Verdict(result, placements=self.placements)
            self._verdicts[result] = verdict
        return verdict

    def patching(self, pod: Pod, *, record: bool) -> Verdict:
        """
        Return the verdict that puts the chosen images in place.

        Args:
            pod: The Pod.
            record: Write down the images as they were, where there is room for it.
        """
        place = record_place(pod.metadata) if record else RecordPlace.NOWHERE
        verdict = self._verdicts.get(place)
        if verdict is None:
            operations = self.operations
            if place is not RecordPlace.NOWHERE:
                operation = record_operation(pod.metadata, self.placements)
                if operation is not None:
                    operations = [*operations, operation]
            verdict = Verdict(
                Result.PATCHED, placements=self.placements, operations=tuple(operations)
            )
            if place is not RecordPlace.MINDFUL:
                self._verdicts[place] = verdict
        return verdict


class Plans:
    """
    The plans for new Pods, of which those of the latest are remembered.

    Args:
        decide: Decides on one image, always in the same way.
    """

    def __init__(self, decide: Callable[[str], Decision]) -> None:
        self._decide = following(decide)
        self._memory: Memory[Hashable, Plan] = Memory(SIZE)

    def of(self, spec: PodSpec | None) -> Plan:
        """
        Return the plan for a Pod that is created.
        """
        if spec is None:
            return Plan((), None)
        key = images_of(spec)
        plan = self._memory.recall(key)
        if plan is None:
            slots = image_slots(spec)
            plan = Plan(rewrite(slots, self._decide), spec)
            if is_light(spec, slots):
                self._memory.keep(key, plan)
        return plan

    def for_some(self, slots: Iterable[ImageSlot]) -> Plan:
        """
        Return the plan for some images of a Pod that is there.
        """
        return Plan(rewrite(slots, self._decide), None)


def images_of(spec: PodSpec) -> Hashable:
    """
    Return everything of a spec that a plan depends on.

    Volumes of no image count by their number alone: the one of the service account's
    token has another name in each Pod.
    """
    volumes = tuple([each if has_image(each) else None for each in spec.volumes or ()])
    return (
        spec.containers,
        spec.init_containers,
        spec.ephemeral_containers,
        spec.image_pull_secrets,
        volumes,
    )


def has_image(volume: Volume) -> bool:
    """
    Say whether a volume is of an image.
    """
    return volume.image is not None and bool(volume.image.reference)


def is_light(spec: PodSpec, slots: Sequence[ImageSlot]) -> bool:
    """
    Say whether what a plan keeps of a Pod is worth its memory.

    Hostile Pods have names without end, and entries that hold nothing; real ones do not.
    """
    characters = sum([len(slot[1]) + len(slot[3]) + len(slot[4] or "") for slot in slots])
    entries = (
        len(spec.containers or ())
        + len(spec.init_containers or ())
        + len(spec.ephemeral_containers or ())
    )
    named = spec.image_pull_secrets or ()
    return (
        characters <= MAX_CHARACTERS
        and entries == sum([slot[2] is not VOLUMES for slot in slots])
        and len(spec.volumes or ()) <= MAX_ENTRIES
        and sum([len(secret.name or "") + 1 for secret in named]) <= MAX_CHARACTERS
    )

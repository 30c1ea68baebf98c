"""What becomes of the images of a Pod, worked out once for all Pods with the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhook.admission.verdict import Result, Verdict
from webhook.objects import (
    Placement,
    RecordPlace,
    image_operations,
    record_operation,
    secret_operations,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhook.core import Decision
    from webhook.objects import Operation, Pod, PodSpec

__all__ = ["Plan"]


class Plan:
    """Decisions on images, and the verdicts that carry them out.

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
        """Return the plan for other decisions on the same images."""
        if decisions == self.decisions:
            return self
        plan = self._chosen
        if plan is None or decisions != plan.decisions:
            slots = (slot for slot, _ in self.placements)
            placements = [*map(Placement, slots, decisions)]
            plan = self._chosen = Plan(placements, self._spec)
        return plan

    def leaving(self, result: Result) -> Verdict:
        """Return the verdict that changes nothing."""
        verdict = self._verdicts.get(result)
        if verdict is None:
            verdict = Verdict(result, placements=self.placements)
            self._verdicts[result] = verdict
        return verdict

    @property
    def changes(self) -> bool:
        """Whether any image gets another name."""
        return bool(self.operations)

    def patching(self, pod: Pod, place: RecordPlace) -> Verdict:
        """Return the verdict that puts the chosen images in place.

        Args:
            pod: The Pod.
            place: Where the images as they were are written down.
        """
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

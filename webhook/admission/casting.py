"""Answers to Pods that differ from others in the tags and digests of their images alone.

A new build of an application makes such Pods. What becomes of them is worked out once, with
marks for tags: cut at its marks, that answer is a mold for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from webhook.admission.shapes import unmarked
from webhook.admission.verdict import Verdict
from webhook.objects import Operation, RecordPlace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhook.admission.molds import Mold, Saying
    from webhook.admission.plan import Plan
    from webhook.admission.verdict import Result
    from webhook.core import Decision
    from webhook.objects import Placement, Pod

__all__ = ["CastPlan"]

_operations = msgspec.json.Decoder(tuple[Operation, ...]).decode


class CastVerdict(Verdict):
    """A verdict whose words come from a mold, and whose parts are worked out if looked at.

    Of the rules it keeps those that matched alone: it may be remembered for longer than
    they are in use.

    Args:
        saying: What is said of all Pods of the shape.
        suffixes: What stands behind the names of the images.
        keeps: Whether it keeps its words, which are three quarters of its memory.
    """

    __slots__ = ("_keeps", "_saying", "_suffixes")

    def __init__(self, saying: Saying, suffixes: Sequence[bytes], *, keeps: bool = False) -> None:
        super().__init__(saying.result)
        self._saying = saying
        self._suffixes = suffixes
        self._keeps = keeps
        self._totals = saying.totals
        self._weight = saying.weight + sum(map(len, suffixes))

    @property
    def placements(self) -> tuple[Placement, ...]:
        """The images that were looked at, each with its decision."""
        return unmarked(self._saying.placements, self._suffixes)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The patch; empty for none."""
        operations = self._saying.operations
        if operations is None:
            return ()
        return _operations(operations.filled(self._suffixes))

    @property
    def response(self) -> bytes:
        """The AdmissionResponse as JSON, without its uid."""
        response = self._response
        if response is None:
            response = self._saying.response(self._suffixes)
            if self._keeps:
                self._response = response
        return response

    @property
    def decisions(self) -> msgspec.Raw:
        """The decisions as JSON, as the log has them."""
        decisions = self._decisions
        if decisions is None:
            decisions = msgspec.Raw(self._saying.decisions.filled(self._suffixes))
            if self._keeps:
                self._decisions = decisions
        return decisions


class CastPlan:
    """The plan for one Pod of a shape, which need not be worked out.

    Args:
        mold: What is said of its shape.
        suffixes: What stands behind the names of its images.
        keeps: Whether it is remembered, for other Pods with the same images.
    """

    __slots__ = ("_keeps", "_mold", "_plan", "_suffixes", "_verdicts")

    def __init__(self, mold: Mold, suffixes: Sequence[bytes], *, keeps: bool = False) -> None:
        self._mold = mold
        self._keeps = keeps
        self._plan: Plan | None = None
        self._verdicts: dict[Verdict, Verdict] = {}
        self._suffixes = suffixes

    @property
    def changes(self) -> bool:
        """Whether any image gets another name."""
        return self._mold.plan.changes

    @property
    def placements(self) -> tuple[Placement, ...]:
        """The images that are looked at, each with its decision."""
        return self._worked_out().placements

    @property
    def decisions(self) -> list[Decision]:
        """The decisions alone."""
        return self._worked_out().decisions

    def chosen(self, decisions: Sequence[Decision]) -> Plan:
        """Return the plan for other decisions on the same images."""
        return self._worked_out().chosen(decisions)

    def leaving(self, result: Result) -> Verdict:
        """Return the verdict that changes nothing."""
        return self._cast(self._mold.plan.leaving(result))

    def patching(self, pod: Pod, place: RecordPlace) -> Verdict:
        """Return the verdict that puts the chosen images in place.

        Args:
            pod: The Pod.
            place: Where the images as they were are written down.
        """
        if place is RecordPlace.MINDFUL:
            return self._worked_out().patching(pod, place)
        return self._cast(self._mold.plan.patching(pod, place))

    def _cast(self, marked: Verdict) -> Verdict:
        verdict = self._verdicts.get(marked)
        if verdict is None:
            saying = self._mold.saying(marked)
            verdict = CastVerdict(saying, self._suffixes, keeps=self._keeps)
            self._verdicts[marked] = verdict
        return verdict

    def _worked_out(self) -> Plan:
        if self._plan is None:
            self._plan = self._mold.worked_out(self._suffixes)
        return self._plan

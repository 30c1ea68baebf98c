"""
Answers to Pods that differ from others in the tags and digests of their images alone.

A new build of an application makes such Pods. What becomes of them is worked out once, with
marks for tags: cut at its marks, that answer is a mold for all of them.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING

import msgspec

from webhook.admission.plan import Plan
from webhook.admission.shapes import MARK, MARKS, unmarked
from webhook.admission.verdict import Verdict
from webhook.objects import Operation, RecordPlace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhook.admission.verdict import Result
    from webhook.core import Decision
    from webhook.objects import Placement, Pod, PodSpec

__all__ = ["CastPlan", "Mold"]

_operations = msgspec.json.Decoder(tuple[Operation, ...]).decode
_encode = msgspec.json.Encoder().encode


class Text:
    """
    A text with blanks for suffixes.

    Args:
        text: The text, with marks where the blanks are.
    """

    __slots__ = ("_order", "_parts")

    def __init__(self, text: bytes) -> None:
        self._parts: list[bytes] = MARKS.split(text)
        self._order = [int(number) for number in self._parts[1::2]]

    def filled(self, suffixes: Sequence[bytes]) -> bytes:
        """
        Return the text with suffixes in its blanks.
        """
        parts = self._parts.copy()
        parts[1::2] = map(suffixes.__getitem__, self._order)
        return b"".join(parts)


class Mold:
    """
    What is said of all Pods of one shape.

    Args:
        plan: What becomes of the one with marks.
        spec: Its spec.
        slots: How many marks it has.
    """

    __slots__ = ("_sayings", "_slots", "_spec", "plan")

    def __init__(self, plan: Plan, spec: PodSpec, slots: int) -> None:
        self.plan = plan
        self._spec = spec
        self._slots = slots
        self._sayings: dict[Verdict, Saying] = {}

    def worked_out(self, suffixes: Sequence[bytes]) -> Plan:
        """
        Return the plan for one of the Pods.
        """
        return Plan(unmarked(self.plan.placements, suffixes), self._spec)

    def saying(self, verdict: Verdict) -> Saying:
        """
        Return what is said of all where *verdict* is said of the one with marks.
        """
        saying = self._sayings.get(verdict)
        if saying is None:
            saying = self._sayings[verdict] = Saying(verdict, self._slots)
        return saying


class Saying:
    """
    What is said in one case, with blanks for suffixes.

    Args:
        verdict: The verdict on the Pod with marks.
        slots: How many marks it has.
    """

    __slots__ = (
        "_head",
        "_tail",
        "decisions",
        "operations",
        "placements",
        "result",
        "totals",
        "weight",
    )

    def __init__(self, verdict: Verdict, slots: int) -> None:
        self.result = verdict.result
        self.placements = verdict.placements
        self.totals = verdict.totals
        self.weight = verdict.weight - slots * len(MARK.format(0))
        self.decisions = Text(bytes(verdict.decisions))
        self.operations: Text | None = None
        self._head, tail = b"", verdict.response
        if verdict.operations:
            operations = _encode(verdict.operations)
            self.operations = Text(operations)
            self._head, _, tail = tail.partition(b2a_base64(operations, newline=False))
        self._tail = Text(tail)

    def response(self, suffixes: Sequence[bytes]) -> bytes:
        """
        Return the AdmissionResponse, as `Verdict.response`.
        """
        tail = self._tail.filled(suffixes)
        if self.operations is None:
            return tail
        patch = b2a_base64(self.operations.filled(suffixes), newline=False)
        return b"".join((self._head, patch, tail))


class CastVerdict(Verdict):
    """
    A verdict whose words come from a mold, and whose parts are worked out if looked at.

    Of the rules it keeps those that matched alone: it may be remembered for longer than
    they are in use.
    """

    __slots__ = ("_saying", "_suffixes")

    def __init__(self, saying: Saying, suffixes: Sequence[bytes]) -> None:
        super().__init__(saying.result)
        self._saying = saying
        self._suffixes = suffixes
        self._response = saying.response(suffixes)
        self._totals = saying.totals
        self._weight = saying.weight + sum(map(len, suffixes))

    @property
    def placements(self) -> tuple[Placement, ...]:
        """
        The images that were looked at, each with its decision.
        """
        return unmarked(self._saying.placements, self._suffixes)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """
        The patch; empty for none.
        """
        operations = self._saying.operations
        if operations is None:
            return ()
        return _operations(operations.filled(self._suffixes))

    @property
    def decisions(self) -> msgspec.Raw:
        """
        The decisions as JSON, as the log has them.
        """
        if self._decisions is None:
            self._decisions = msgspec.Raw(self._saying.decisions.filled(self._suffixes))
        return self._decisions


class CastPlan:
    """
    The plan for one Pod of a shape, which need not be worked out.

    Args:
        mold: What is said of its shape.
        suffixes: What stands behind the names of its images.
    """

    __slots__ = ("_mold", "_plan", "_suffixes", "_verdicts")

    def __init__(self, mold: Mold, suffixes: Sequence[bytes]) -> None:
        self._mold = mold
        self._plan: Plan | None = None
        self._verdicts: dict[Verdict, Verdict] = {}
        self._suffixes = suffixes

    @property
    def changes(self) -> bool:
        """
        Whether any image gets another name.
        """
        return self._mold.plan.changes

    @property
    def placements(self) -> tuple[Placement, ...]:
        """
        The images that are looked at, each with its decision.
        """
        return self._worked_out().placements

    @property
    def decisions(self) -> list[Decision]:
        """
        The decisions alone.
        """
        return self._worked_out().decisions

    def chosen(self, decisions: Sequence[Decision]) -> Plan:
        """
        Return the plan for other decisions on the same images.
        """
        return self._worked_out().chosen(decisions)

    def leaving(self, result: Result) -> Verdict:
        """
        Return the verdict that changes nothing.
        """
        return self._cast(self._mold.plan.leaving(result))

    def patching(self, pod: Pod, place: RecordPlace) -> Verdict:
        """
        Return the verdict that puts the chosen images in place.

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
            verdict = CastVerdict(self._mold.saying(marked), self._suffixes)
            self._verdicts[marked] = verdict
        return verdict

    def _worked_out(self) -> Plan:
        if self._plan is None:
            self._plan = self._mold.worked_out(self._suffixes)
        return self._plan

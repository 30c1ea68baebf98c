"""Molds: what becomes of a Pod with marks for tags, cut at its marks."""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING

import msgspec

from webhook.admission.plan import Plan
from webhook.admission.shapes import MARK, MARKS, unmarked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhook.admission.verdict import Verdict
    from webhook.objects import PodSpec

__all__ = ["Mold", "Saying"]

_encode = msgspec.json.Encoder().encode


class Text:
    """A text with blanks for suffixes.

    Args:
        text: The text, with marks where the blanks are.
    """

    __slots__ = ("_order", "_parts")

    def __init__(self, text: bytes) -> None:
        self._parts: list[bytes] = MARKS.split(text)
        self._order = [int(number) for number in self._parts[1::2]]

    def filled(self, suffixes: Sequence[bytes]) -> bytes:
        """Return the text with suffixes in its blanks."""
        parts = self._parts.copy()
        parts[1::2] = map(suffixes.__getitem__, self._order)
        return b"".join(parts)


class Mold:
    """What is said of all Pods of one shape.

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
        """Return the plan for one of the Pods."""
        return Plan(unmarked(self.plan.placements, suffixes), self._spec)

    def saying(self, verdict: Verdict) -> Saying:
        """Return what is said of all where *verdict* is said of the one with marks."""
        saying = self._sayings.get(verdict)
        if saying is None:
            saying = self._sayings[verdict] = Saying(verdict, self._slots)
        return saying


class Saying:
    """What is said in one case, with blanks for suffixes.

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
        """Return the AdmissionResponse, as `Verdict.response`."""
        tail = self._tail.filled(suffixes)
        if self.operations is None:
            return tail
        patch = b2a_base64(self.operations.filled(suffixes), newline=False)
        return b"".join((self._head, patch, tail))

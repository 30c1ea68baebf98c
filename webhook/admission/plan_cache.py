"""The latest plans for new Pods: clusters create Pods with the same images again and again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Hashable

    from webhook.admission.response import ReviewResult
    from webhook.objects import ImageDecision

__all__ = ["Plan", "PlanCache"]

MAX_BYTES: Final = 8 * 1024 * 1024
MAX_PLAN_BYTES: Final = 256 * 1024

_encode = msgspec.json.Encoder().encode


class Plan(NamedTuple):
    """The images of a Pod as the rules decide, as the selector chose, and the result of that."""

    images: list[ImageDecision]
    chosen: list[ImageDecision]
    result: ReviewResult


class PlanCache:
    """Keeps the plans used last, as many as fit into `MAX_BYTES`."""

    def __init__(self) -> None:
        self._plans: OrderedDict[Hashable, tuple[Plan, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> Plan | None:
        """Return the plan for *key*, or None."""
        entry = self._plans.get(key)
        if entry is None:
            return None
        self._plans.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, plan: Plan) -> None:
        """Keep a plan, unless it is larger than `MAX_PLAN_BYTES`."""
        self._bytes -= self._plans.pop(key, (None, 0))[1]
        size = estimate_bytes(key, plan)
        if size > MAX_PLAN_BYTES:
            return
        self._plans[key] = plan, size
        self._bytes += size
        while self._bytes > MAX_BYTES:
            self._bytes -= self._plans.popitem(last=False)[1][1]


def estimate_bytes(key: Hashable, plan: Plan) -> int:
    """Return how many bytes of memory a plan takes at most, judged by its JSON and its images."""
    names = [str(each) for _, decision in plan.images for each in decision.candidates]
    texts = len(plan.result.response) + len(plan.result.decisions)
    objects = 2048 + 1024 * len(plan.images) + 640 * len(names)
    # A character takes up to four bytes, and the names of images and containers come three times.
    return objects + 16 * len(_encode(key)) + 2 * (texts + sum(map(len, names)))

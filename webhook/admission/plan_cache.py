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

MAX_BYTES: Final = 3 * 1024 * 1024
MAX_PLAN_BYTES: Final = 256 * 1024


class Plan(NamedTuple):
    """The decisions on the images of a Pod by the rules and by the selector, and the result."""

    images: list[ImageDecision]
    chosen: list[ImageDecision]
    result: ReviewResult


class PlanCache:
    """Keeps the plans that were used last, as many as fit into `MAX_BYTES`."""

    def __init__(self) -> None:
        self._plans: OrderedDict[Hashable, tuple[Plan, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[Hashable, Hashable]) -> Plan | None:
        """Return the plan for a policy and a Pod, or None."""
        plan, _ = self._plans.get(key, (None, 0))
        if plan is not None:
            self._plans.move_to_end(key)
        return plan

    def put(self, key: tuple[Hashable, Hashable], plan: Plan) -> None:
        """Keep the plan for a policy and a Pod, unless it is larger than `MAX_PLAN_BYTES`."""
        self._bytes -= self._plans.pop(key, (plan, 0))[1]
        size = estimate_bytes(key[1], plan)
        if size <= MAX_PLAN_BYTES:
            self._plans[key] = plan, size
            self._bytes += size
        while self._bytes > MAX_BYTES:
            self._bytes -= self._plans.popitem(last=False)[1][1]


def estimate_bytes(pod: Hashable, plan: Plan) -> int:
    """Return how many bytes a plan takes at most; a character may take four, in four texts."""
    candidates = [each for _, decision in plan.images for each in decision.candidates]
    objects = 2048 + 1024 * len(plan.images) + sum(512 + 128 * len(c.steps) for c in candidates)
    names = sum(len(c.reference.original) for c in candidates)
    texts = len(plan.result.response) + len(plan.result.decisions) + names
    return objects + 16 * len(msgspec.json.encode(pod)) + 2 * texts

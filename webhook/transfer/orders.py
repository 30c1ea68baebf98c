"""What is to be copied for an image, from where and to where: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.core import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.core import Candidate, Decision, ImageReference

__all__ = ["Order", "distinct", "order_for"]

LATEST: Final = "latest"


@dataclass(frozen=True, slots=True)
class Order:
    """One image to be copied.

    Attributes:
        image: The image as it was written.
        reference: Its parts; None if it is no image name.
        upstream: Its name where it comes from; None if it is no image name.
        target: Its name at the mirror; None if it has none there.
        reason: Why there, or why not.
        is_wrong: Whether it should have a name at a mirror, and has none.
    """

    image: str
    reference: ImageReference | None
    upstream: ImageReference | None
    target: ImageReference | None
    reason: str
    is_wrong: bool = False

    @property
    def wanted(self) -> str:
        """What it goes by upstream: its digest, else its tag."""
        upstream = self.upstream
        return (upstream and (upstream.digest or upstream.tag)) or LATEST

    @property
    def name(self) -> str:
        """What it is to go by at the mirror: its tag, else its digest."""
        target = self.target
        return (target and (target.tag or target.digest)) or LATEST


def order_for(decision: Decision) -> Order:
    """Return what to copy for an image of which the rules have decided.

    What its first mirror has is a copy of the name before it in the chain of rules:
    where Docker Hub has moved an image, the mirror has what it was moved to.
    """
    reference, candidate = decision.reference, decision.candidate
    if reference is None or candidate is None:
        is_wrong = decision.outcome in (Outcome.INVALID, Outcome.UNAVAILABLE)
        return Order(decision.original, reference, reference, None, decision.reason, is_wrong)
    upstream = before_last(candidate, reference)
    return Order(decision.original, reference, upstream, candidate.reference, decision.reason)


def before_last(candidate: Candidate, reference: ImageReference) -> ImageReference:
    """Return the name from which the last rule of a chain led to its mirror."""
    for rule, mirror in candidate.steps[:-1]:
        reference = rule.rewrite_reference(mirror, reference)
    return reference


def distinct(orders: Iterable[Order]) -> list[Order]:
    """Return the orders, each image once, in whatever ways it was written."""
    known: dict[object, Order] = {}
    for order in orders:
        upstream = order.upstream
        key = (upstream.name, order.wanted, order.name) if upstream else order.image
        known.setdefault(key, order)
    return list(known.values())

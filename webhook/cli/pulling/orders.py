"""What is to be pulled for an image, and what it is to be called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.core import Original, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.cli.pulling.engines import Engine
    from webhook.core import Decision, ImageReference

__all__ = ["Order", "Source", "distinct", "names_to_give", "order_for", "tagged"]

LATEST: Final = "latest"


def tagged(reference: ImageReference) -> str:
    """Return the full name with its tag, ``latest`` where there is none, as every engine does."""
    return f"{reference.name}:{reference.tag or LATEST}"


@dataclass(frozen=True, slots=True)
class Source:
    """Where an image may be pulled from.

    Attributes:
        reference: Its name there.
        is_mirror: Whether that is another name than its own.
    """

    reference: ImageReference
    is_mirror: bool

    @property
    def image(self) -> str:
        """The name to pull: by digest alone if there is one, since it says all."""
        digest = self.reference.digest
        return f"{self.reference.name}@{digest}" if digest else tagged(self.reference)


@dataclass(frozen=True, slots=True)
class Order:
    """One image to be pulled.

    Attributes:
        image: The image as it was written.
        reference: Its parts; None if it is no image name.
        sources: Where to pull it from, in this order; none if it cannot be pulled.
        reason: Why from there, or why from nowhere.
    """

    image: str
    reference: ImageReference | None
    sources: tuple[Source, ...]
    reason: str


def order_for(decision: Decision) -> Order:
    """Return what to pull for an image of which the rules have decided.

    To pull is to see what is available: the image's own registry has the place among
    the mirrors that the rule's ``original`` gives it. An image that no mirror can have
    is pulled from there, unless the rule forbids that.
    """
    reference, rule = decision.reference, decision.rule
    if reference is None:
        return Order(decision.original, None, (), decision.reason)
    mirrors = [Source(each.reference, is_mirror=True) for each in decision.candidates]
    own = [Source(reference, is_mirror=False)]
    is_mapped = decision.outcome in (Outcome.REWRITTEN, Outcome.UNAVAILABLE)
    original = rule.original if rule is not None and is_mapped else Original.LAST
    if original is Original.NEVER:
        sources = mirrors
    elif original is Original.FIRST:
        sources = own + mirrors
    else:
        sources = mirrors + own
    return Order(decision.original, reference, tuple(sources), decision.reason)


def distinct(orders: Iterable[Order]) -> list[Order]:
    """Return the orders, each image once, in whatever ways it was written."""
    known: dict[str, Order] = {}
    for order in orders:
        reference = order.reference
        if reference is None:
            key = order.image
        elif reference.digest:
            key = str(reference)
        else:
            key = tagged(reference)
        known.setdefault(key, order)
    return list(known.values())


def names_to_give(engine: Engine, reference: ImageReference, brought: Iterable[str]) -> list[str]:
    """Return the image's own names, as a pull from its own registry would have given them.

    Args:
        engine: Where it was pulled to.
        reference: The image as it was written.
        brought: The names that the pull from the mirror gave it.
    """
    names = [] if reference.digest and not reference.tag else [tagged(reference)]
    if engine.names_digests:
        digests = {name.partition("@")[2] for name in brought} | {reference.digest}
        names += [f"{reference.name}@{digest}" for digest in sorted(filter(None, digests))]
    return names

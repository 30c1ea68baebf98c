"""Pulling images: what to pull for each one, from where, and what to name it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from webhook.core import Original, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from webhook.cli.engines import Engine, Run
    from webhook.core import Decision, ImageReference

__all__ = [
    "Failure",
    "Order",
    "Puller",
    "Result",
    "Source",
    "distinct",
    "names_to_give",
    "order_for",
    "tagged",
]

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


DIGEST_ONLY: Final = (
    "a digest has no tag to restore, and {engine} names no image by a digest: it stays {image}"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that did not give the image.

    Attributes:
        source: The name that was to be pulled; empty if the image is no image name.
        error: Why not, mostly in the engine's own words.
    """

    source: str
    error: str

    def __str__(self) -> str:
        return f"{self.source}: {self.error}" if self.source else self.error


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an order.

    Attributes:
        order: The order.
        source: The name that it was pulled by; None if it was not pulled.
        names: Its own names, which it has now; none if it stays named as at the mirror.
        failures: The sources that were tried before, or all of them.
        notes: What is not as one might expect, a sentence each.
    """

    order: Order
    source: str | None = None
    names: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_pulled(self) -> bool:
        """Whether the engine has the image under its name."""
        return self.source is not None


@dataclass(frozen=True, slots=True)
class Puller:
    """Pulls images by means of one engine.

    Attributes:
        engine: The engine.
        run: Runs its commands.
        platform: Pull for this one, as ``linux/arm64``; None for the engine's own.
        keeps_mirror_names: Leave the image the name that it has at the mirror, too.
    """

    engine: Engine
    run: Run
    platform: str | None = None
    keeps_mirror_names: bool = False

    def pull(self, order: Order, heard: Callable[[str, str], None]) -> Result:
        """Pull one image from the first of its sources that has it.

        Args:
            order: The image, with its sources.
            heard: Is told the name that is being pulled, and each line that the engine
                writes; first an empty one.
        """
        failures: list[Failure] = []
        if order.reference is None or not order.sources:
            return Result(order, failures=(Failure("", order.reason),))
        for source in order.sources:
            image = source.image
            heard(image, "")
            before = self.names(source) if source.is_mirror else frozenset()
            command = self.engine.pull(image, self.platform)
            pulled = self.run(command, partial(heard, image))
            if pulled.code:
                failures.append(Failure(image, pulled.error))
            elif source.is_mirror:
                result = self.renamed(order, order.reference, source, before)
                return replace(result, failures=(*failures, *result.failures))
            else:
                return Result(order, image, (image,), tuple(failures))
        return Result(order, failures=tuple(failures))

    def renamed(
        self,
        order: Order,
        reference: ImageReference,
        source: Source,
        before: frozenset[str] | None,
    ) -> Result:
        """Give a pulled image its own names, and then take off those that the pull brought.

        Args:
            order: The image.
            reference: Its parts.
            source: The mirror that it was pulled from.
            before: The names that it had there before; None if that is not known.
        """
        image = source.image
        brought = self.brought(source, before)
        names = names_to_give(self.engine, reference, brought or ())
        for name in names:
            tagged = self.run(self.engine.tag(image, name), ignore)
            if tagged.code:
                problem = f"pulled, but it could not be named {name}: {tagged.error}"
                return Result(order, failures=(Failure(image, problem),))
        if self.keeps_mirror_names:
            notes = []
        elif not names:
            notes = [DIGEST_ONLY.format(engine=self.engine.name, image=image)]
        else:
            notes = self.taken_off(image, brought)
        return Result(order, image, tuple(names), notes=tuple(notes))

    def names(self, source: Source) -> frozenset[str] | None:
        """Return the names in a source's repository that the engine has; None if it is silent.

        An engine that is asked for one name tells of that one only.
        """
        found = self.run(self.engine.find(source.image), ignore)
        if self.engine.finding:
            return frozenset() if found.code else frozenset({source.image})
        if found.code:
            return None
        repository = source.reference.name
        here = (f"{repository}:", f"{repository}@")
        return frozenset(line for line in found.lines if line.startswith(here))

    def brought(self, source: Source, before: frozenset[str] | None) -> list[str] | None:
        """Return the names that a pull from *source* brought, in order; None if not known."""
        if before is None:
            return None
        if not self.engine.names_digests:
            return sorted({source.image} - before)
        after = self.names(source)
        return None if after is None else sorted(after - before)

    def taken_off(self, image: str, brought: list[str] | None) -> list[str]:
        """Take the names off that the pull of *image* brought, and return what is to note."""
        if brought is None:
            return [f"{self.engine.name} did not tell its images: {image} stays"]
        notes = []
        if image not in brought:
            notes.append(f"{image} was there before: it stays")
        for name in brought:
            removed = self.run(self.engine.remove(name), ignore)
            if removed.code:
                notes.append(f"{name} could not be removed: {removed.error}")
        return notes


def ignore(line: str) -> None:
    """Hear what a program says, and do nothing."""

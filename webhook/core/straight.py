"""From an image to mirrors that no rule leads on from, worked out before any image is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from webhook.core.decision import Candidate
from webhook.core.reference import MAX_REPOSITORY, ImageReference

if TYPE_CHECKING:
    from webhook.core.mirror import Mirror
    from webhook.core.rules import Rule

__all__ = ["Way", "named_straight", "ways_of"]


class Way(NamedTuple):
    """How one mirror names the images of a rule.

    Attributes:
        skip: How many characters of the repository the rule's own path takes.
        flatten: Whether only the last part of the rest is kept.
        registry: The registry of the target.
        head: What is put before the rest: the target, and a slash.
        steps: The rule and the mirror, as a candidate has them.
    """

    skip: int
    flatten: bool
    registry: str
    head: str
    steps: tuple[tuple[Rule, Mirror]]


def ways_of(rule: Rule) -> tuple[Way, ...]:
    """Return the ways to the mirrors of a rule that has a match."""
    path = rule.match.path if rule.match is not None else ""
    return tuple(
        Way(
            len(path) + 1 if path else 0,
            mirror.flatten,
            mirror.registry,
            f"{mirror.target}/",
            ((rule, mirror),),
        )
        for mirror in rule.mirrors
    )


def named_straight(reference: ImageReference, ways: tuple[Way, ...]) -> tuple[Candidate, ...]:
    """Return what mirrors name an image: whole parts of a valid name below valid targets.

    Returns:
        Nothing where one of them cannot name it, which a search has to tell.
    """
    _, repository, tag, digest, _ = reference
    suffix = reference.suffix
    found: dict[str, Candidate] = {}
    for skip, flatten, registry, head, steps in ways:
        rest = repository[skip:]
        if flatten:
            rest = rest.rpartition("/")[2]
        name = head + rest
        if not rest or len(name) > MAX_REPOSITORY:
            return ()
        image = name + suffix
        if image not in found:
            below = name[len(registry) + 1 :]
            named = ImageReference(registry, below, tag, digest, image)
            found[image] = Candidate(named, steps, image)
    return tuple(found.values())

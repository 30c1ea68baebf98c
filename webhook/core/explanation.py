"""Which rules were considered for an image, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhook.core.decision import Decision
    from webhook.core.mapping import MirrorMap
    from webhook.core.rules import Rule

__all__ = ["Bearing", "Consideration", "consider"]


class Bearing(StrEnum):
    """What a rule has to do with an image."""

    APPLIES = "applies"
    FOLLOWS = "follows"  # it applies to a name that the rule before it gave
    AT_MIRROR = "at-mirror"  # it matches, and the image lies under one of its own mirrors
    SHADOWED = "shadowed"  # it matches, and another rule wins
    UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True)
class Consideration:
    """One rule, and what it has to do with an image.

    Attributes:
        rule: The rule.
        bearing: What it has to do with it.
        winner: The rule that wins over it, where it is shadowed.
    """

    rule: Rule
    bearing: Bearing
    winner: Rule | None = None


def consider(mirrors: MirrorMap, decision: Decision) -> tuple[Consideration, ...]:
    """Return every rule with what it has to do with the image of *decision*.

    Those that match come first, the one that wins before all others; then those that
    follow it; the others keep their order. It is empty for what is no image name.

    Args:
        mirrors: The rules.
        decision: What they decided.
    """
    reference = decision.reference
    if reference is None:
        return ()
    winner: Rule | None = None
    found: list[Consideration] = []
    for rule in mirrors.matching(reference.registry, reference.repository):
        if rule.is_mirrored(reference.name):
            found.append(Consideration(rule, Bearing.AT_MIRROR))
        elif winner is None:
            winner = rule
            found.append(Consideration(rule, Bearing.APPLIES))
        else:
            found.append(Consideration(rule, Bearing.SHADOWED, winner))
    known = {id(each.rule) for each in found}
    following = {
        id(rule): rule
        for candidate in decision.candidates
        for rule, _ in candidate.steps[1:]
        if id(rule) not in known
    }
    found += [Consideration(rule, Bearing.FOLLOWS) for rule in following.values()]
    known |= following.keys()
    others = (rule for rule in mirrors.rules if id(rule) not in known)
    return (*found, *(Consideration(rule, Bearing.UNMATCHED) for rule in others))

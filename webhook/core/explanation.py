"""Which rules were considered for an image, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhook.core.decision import Decision
    from webhook.core.mapping import MirrorMap
    from webhook.core.rules import Rule

__all__ = ["MatchKind", "RuleExplanation", "explain_rules"]


class MatchKind(StrEnum):
    """What a rule has to do with an image."""

    APPLIES = "applies"
    FOLLOWS = "follows"  # it applies to a name that the rule before it gave
    AT_MIRROR = "at-mirror"  # it matches, and the image lies under one of its own mirrors
    SHADOWED = "shadowed"  # it matches, and another rule wins
    UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """One rule, and what it has to do with an image.

    Attributes:
        rule: The rule.
        kind: What it has to do with it.
        winner: The rule that wins over it, where it is shadowed.
    """

    rule: Rule
    kind: MatchKind
    winner: Rule | None = None


def explain_rules(mirrors: MirrorMap, decision: Decision) -> tuple[RuleExplanation, ...]:
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
    found: list[RuleExplanation] = []
    for rule in mirrors.matching_rules(reference.registry, reference.repository):
        if rule.is_at_own_mirror(reference.name):
            found.append(RuleExplanation(rule, MatchKind.AT_MIRROR))
        elif winner is None:
            winner = rule
            found.append(RuleExplanation(rule, MatchKind.APPLIES))
        else:
            found.append(RuleExplanation(rule, MatchKind.SHADOWED, winner))
    known = {id(each.rule) for each in found}
    following = {
        id(rule): rule
        for candidate in decision.candidates
        for rule, _ in candidate.steps[1:]
        if id(rule) not in known
    }
    found += [RuleExplanation(rule, MatchKind.FOLLOWS) for rule in following.values()]
    known |= following.keys()
    others = (rule for rule in mirrors.rules if id(rule) not in known)
    return (*found, *(RuleExplanation(rule, MatchKind.UNMATCHED) for rule in others))

"""Why each rule does or does not apply to an image, and what to do about the decision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from webhook.core.decision import Outcome
from webhook.core.layers import LayeredMap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webhook.core.decision import Decision
    from webhook.core.mapping import MirrorMap
    from webhook.core.rules import Rule

__all__ = ["NEXT_STEPS", "MatchKind", "RuleExplanation", "explain_rules"]

# What to do if an outcome is not what the user wants. Nothing is to be done about others.
NEXT_STEPS: Final[Mapping[Outcome, str]] = {
    Outcome.UNCONFIRMED: "make sure that the mirror has the image: mirrorhook copy, or "
    "mirrorhook explain --probe IMAGE",
    Outcome.OBSERVED: "to rewrite images, set mode: rewrite",
    Outcome.KEPT: "to rewrite it, change that rule",
    Outcome.UNMATCHED: "to rewrite it, add a rule for its registry to the rules, in the values of "
    "the chart for example",
    Outcome.LOCAL: "to pull it from a mirror, set another imagePullPolicy",
    Outcome.INVALID: "correct the name in the manifest of the Pod or its owner",
    Outcome.LOOPING: "name the mirror in the resource that the owner reads, or opt the Pod out",
    Outcome.UNAVAILABLE: "fill the mirror (mirrorhook copy) or find out why it does not answer "
    "(mirrorhook explain --probe IMAGE), then recreate the Pod",
}


class MatchKind(StrEnum):
    """How a rule relates to an image."""

    APPLIES = "applies"
    FOLLOWS = "follows"  # it applies to the name that a rule before it gave
    AT_MIRROR = "at-mirror"  # it matches, but the image is already at one of its mirrors
    SHADOWED = "shadowed"  # it matches, but another rule takes precedence
    UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """How one rule relates to an image.

    Attributes:
        rule: The rule.
        kind: How it relates to the image.
        winner: The rule that takes precedence, if the rule is shadowed.
    """

    rule: Rule
    kind: MatchKind
    winner: Rule | None = None


def explain_rules(mirrors: MirrorMap, decision: Decision) -> tuple[RuleExplanation, ...]:
    """Explain every rule for the image of *decision*.

    Args:
        mirrors: The rules.
        decision: Their decision on the image.

    Returns:
        The rules that match, by precedence; then those that follow; then all others in their
        order. Empty if the image is not a valid reference.
    """
    reference = decision.reference
    if reference is None:
        return ()
    winner: Rule | None = None
    explanations: list[RuleExplanation] = []
    for rule in mirrors.find_matching_rules(reference.registry, reference.repository):
        if rule.is_at_own_mirror(reference.name):
            explanations.append(RuleExplanation(rule, MatchKind.AT_MIRROR))
        elif winner is None:
            winner = rule
            explanations.append(RuleExplanation(rule, MatchKind.APPLIES))
        else:
            explanations.append(RuleExplanation(rule, MatchKind.SHADOWED, winner))
    if isinstance(mirrors, LayeredMap):
        explanations += [
            RuleExplanation(rule, MatchKind.SHADOWED, enforced)
            for rule, enforced in mirrors.find_overruled_rules(
                reference.registry, reference.repository
            )
        ]
    explained = {id(each.rule) for each in explanations}
    following = {
        id(rule): rule
        for candidate in decision.candidates
        for rule, _ in candidate.steps[1:]
        if id(rule) not in explained
    }
    explanations += [RuleExplanation(rule, MatchKind.FOLLOWS) for rule in following.values()]
    explained |= following.keys()
    others = (rule for rule in mirrors.rules if id(rule) not in explained)
    return (*explanations, *(RuleExplanation(rule, MatchKind.UNMATCHED) for rule in others))

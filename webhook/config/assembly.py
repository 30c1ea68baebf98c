"""From own rules and profiles to one map of mirrors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.core import MirrorMap, RuleCycleError
from webhook.profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.config.problems import Findings, Spot
    from webhook.config.rules import ReadRule
    from webhook.core import Rule
    from webhook.profiles import Profile

__all__ = ["OwnRule", "assemble", "distinct"]

# Each costs a search of its own, and few files have more than one.
MAX_CYCLES: Final = 10


class OwnRule(NamedTuple):
    """A rule of the file, and where it stands."""

    rule: Rule
    spot: Spot


def distinct(read: Iterable[ReadRule], findings: Findings) -> list[OwnRule]:
    """Return the rules that are right and whose match is not taken; one that is, is noted."""
    taken: dict[str, Spot] = {}
    own = []
    for name, rule, spot in read:
        first = taken.setdefault(name, spot) if name else spot
        if first is not spot:
            findings.refuse(
                spot,
                f"a rule for {name} stands in line {first.line} ({first.path}) already: "
                "put the mirrors into one rule",
            )
        elif rule is not None:
            own.append(OwnRule(rule, spot))
    return own


def merged(own: Iterable[Rule], profiles: Iterable[Profile]) -> list[Rule]:
    """Return the rules in force.

    Of the same match it is the own one, else that of the profile named first.
    """
    rules = {rule.name: rule for rule in own}
    for profile in profiles:
        for rule in profile.rules:
            rules.setdefault(rule.name, rule)
    return list(rules.values())


def assemble(
    own: Iterable[OwnRule], profiles: Iterable[str], spot: Spot, findings: Findings
) -> MirrorMap:
    """Return the map of own rules and profiles.

    Rules that lead back to each other are noted, and left out.

    Args:
        own: Rules of the file, each with a match of its own.
        profiles: Names of known profiles, the one that wins first.
        spot: Where the policy stands.
        findings: Takes the problems.
    """
    spots = {str(rule): at for rule, at in own}
    rules = merged((rule for rule, _ in own), (PROFILES[profile] for profile in profiles))
    for _ in range(MAX_CYCLES):
        try:
            return MirrorMap(rules)
        except RuleCycleError as error:
            own_rules = (spots[name] for name in error.names if name in spots)
            places = sorted(own_rules, key=lambda place: (place.line, place.column))
            others = ", ".join(f"line {place.line}" for place in places[1:])
            detail = f" (see also {others})" if others else ""
            findings.refuse(places[0] if places else spot, error.problem + detail)
            rules = [rule for rule in rules if str(rule) not in error.names]
    return MirrorMap([])

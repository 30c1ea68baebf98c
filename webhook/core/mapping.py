"""From an image to its mirrors.

A rule never applies to a name that lies under one of its own mirrors. Where the
name that a mirror gives lies under another rule's match, that rule is applied
too, and so on to the end. What comes out is at rest: no rule applies to it, so
that mapping it again changes nothing, whatever the rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhook.core.cycles import find_cycle
from webhook.core.decision import Candidate, Decision, Outcome
from webhook.core.errors import (
    InvalidReferenceError,
    InvalidRuleError,
    RuleCycleError,
)
from webhook.core.index import PrefixIndex
from webhook.core.pattern import PatternSet
from webhook.core.reference import parse_reference
from webhook.core.search import MAX_CANDIDATES, Search
from webhook.core.straight import named_straight, ways_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webhook.core.mirror import Mirror
    from webhook.core.reference import ImageReference
    from webhook.core.rules import Rule

__all__ = ["MirrorMap"]


class MirrorMap:
    """Rules, ready to be asked. It is built once and never changes.

    Args:
        rules: The rules. Order matters among regular expressions only, which are
            asked first; among the others the longest match wins.

    Raises:
        InvalidRuleError: Two rules have the same match.
        RuleCycleError: Rules lead back to each other.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self._patterns = tuple(rule for rule in self.rules if rule.pattern is not None)
        self._pattern_set = (
            PatternSet(rule.pattern for rule in self._patterns if rule.pattern)
            if self._patterns
            else None
        )
        self._exact: PrefixIndex[Rule] = PrefixIndex()
        self._subdomains: PrefixIndex[Rule] = PrefixIndex()
        self._everything: Rule | None = None
        self._targets: PrefixIndex[Rule] = PrefixIndex()
        for rule in self.rules:
            self._add(rule)
        self._only = self._only_rules()
        self._straight = {
            id(rule): ways_of(rule)
            for rule in self.rules
            if rule.composes
            and len(rule.mirrors) <= MAX_CANDIDATES
            and all(self._ends_at(mirror) for mirror in rule.mirrors)
        }
        cycle = find_cycle(self.rules, self.applicable)
        if cycle:
            raise RuleCycleError(tuple(map(str, cycle)))

    def _add(self, rule: Rule) -> None:
        for mirror in rule.mirrors:
            if not mirror.is_template:
                registry, _, path = mirror.target.partition("/")
                self._targets.add(registry, path, rule)
        match = rule.match
        if match is None:
            return
        if match.is_everything:
            known = self._everything = self._everything or rule
        elif match.is_wildcard:
            known = self._subdomains.add(match.registry[1:], match.path, rule)
        else:
            known = self._exact.add(match.registry, match.path, rule)
        if known is not rule:
            problem = f"match {str(match)!r} stands in two rules; put their mirrors into one"
            raise InvalidRuleError(problem, field="match")

    def _only_rules(self) -> dict[str, Rule]:
        """Return the rules of registries that have one for all that lies there, and no other."""
        if self._patterns or self._subdomains:
            return {}
        return {
            registry: paths[""]
            for registry, paths in self._exact.registries()
            if len(paths) == 1 and "" in paths
        }

    def _ends_at(self, mirror: Mirror) -> bool:
        """Say whether a mirror takes any image, and no rule matches anything there."""
        return (
            mirror.allowlist is None
            and mirror.composes
            and not self._patterns
            and self._everything is None
            and mirror.registry not in self._exact
            and not any(parent in self._subdomains for parent in parents(mirror.registry))
        )

    def matching(self, registry: str, repository: str) -> list[Rule]:
        """Return the rules that match a name, the one that wins first.

        Regular expressions come first, in their order; then the longest match,
        where an exact registry comes before ``*.`` of the same path; ``*`` is last.
        """
        found = self._exact.longest_first(registry, repository)
        if self._subdomains:
            for parent in parents(registry):
                found += self._subdomains.longest_first(parent, repository)
            found.sort(key=lambda pair: -len(pair[0]))
        rules = [rule for _, rule in found]
        if self._pattern_set is not None:
            matched = self._pattern_set.matching(f"{registry}/{repository}")
            rules[:0] = [self._patterns[index] for index in matched]
        if self._everything is not None:
            rules.append(self._everything)
        return rules

    def applicable(self, registry: str, repository: str) -> Rule | None:
        """Return the rule that applies to a name: the first that does not lead there."""
        only = self._only.get(registry)
        if only is not None and not only.is_mirrored(f"{registry}/{repository}"):
            return only
        rules = self.matching(registry, repository)
        if rules:
            name = f"{registry}/{repository}" if repository else registry
            for rule in rules:
                if not rule.is_mirrored(name):
                    return rule
        return None

    def candidates(self, reference: ImageReference) -> tuple[Candidate, ...]:
        """Return *reference* as the mirrors name it, in order of preference.

        It is empty where no rule applies, a rule keeps the image, or no mirror
        has a valid name for it.
        """
        rule = self.applicable(reference.registry, reference.repository)
        return self._search(reference, rule)[0]

    def _search(
        self, reference: ImageReference, rule: Rule | None
    ) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
        ways = self._straight.get(id(rule))
        if ways:
            named = named_straight(reference, ways)
            if named:
                return named, ()
        search = Search(self.applicable)
        search.walk(reference, rule, (), (reference.name,))
        return tuple(search.found.values()), tuple(search.problems)

    def decide(self, text: str) -> Decision:
        """Say what becomes of the image *text*, where every mirror has every image.

        It never raises: on any doubt the image stays, and the reason says why.
        """
        try:
            reference = parse_reference(text)
        except InvalidReferenceError as error:
            return Decision(text, Outcome.INVALID, error.problem)
        rule = self.applicable(reference.registry, reference.repository)
        if rule is None:
            return self._at_rest(reference)
        if rule.keep:
            reason = f"rule {rule} keeps it"
            return Decision(text, Outcome.KEPT, reason, reference, rule)
        candidates, problems = self._search(reference, rule)
        if not candidates:
            reason = "; ".join(problems[:3])
            return Decision(text, Outcome.UNAVAILABLE, reason, reference, rule)
        chosen = candidates[0]
        return Decision(
            original=text,
            outcome=Outcome.REWRITTEN,
            reason=chosen.reason,
            reference=reference,
            rule=rule,
            candidates=candidates,
            candidate=chosen,
        )

    def _at_rest(self, reference: ImageReference) -> Decision:
        name, text = reference.name, reference.original
        at = self._targets.longest_first(reference.registry, reference.repository)
        own = (
            rule
            for rule in self.matching(reference.registry, reference.repository)
            if rule.is_mirrored(name)
        )
        rule = at[0][1] if at else next(own, None)
        if rule is not None:
            reason = f"it is at a mirror of rule {rule} already"
            return Decision(text, Outcome.MIRRORED, reason, reference, rule)
        reason = f"no rule matches {name}"
        return Decision(text, Outcome.UNMATCHED, reason, reference)


def parents(registry: str) -> Iterator[str]:
    """Yield the parent domains of a registry, each with its leading dot, the longest first."""
    dot = registry.find(".")
    while dot != -1:
        yield registry[dot:]
        dot = registry.find(".", dot + 1)

"""From an image to its mirrors.

A rule never applies to a name that lies under one of its own mirrors. Where the
name that a mirror gives lies under another rule's match, that rule is applied
too, and so on to the end. What comes out is at rest: no rule applies to it, so
that mapping it again changes nothing, whatever the rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.core.decision import Candidate, Decision, Outcome
from webhook.core.errors import (
    InvalidReferenceError,
    InvalidRuleError,
    RuleCycleError,
)
from webhook.core.reference import parse_reference
from webhook.core.regex import RegexSet
from webhook.core.rules import PrefixIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from webhook.core.reference import ImageReference
    from webhook.core.rules import Mirror, Rule

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
        self._patterns = tuple(rule for rule in self.rules if rule.regex is not None)
        self._pattern_set = (
            RegexSet(rule.regex for rule in self._patterns if rule.regex)
            if self._patterns
            else None
        )
        self._exact: PrefixIndex[Rule] = PrefixIndex()
        self._subdomains: PrefixIndex[Rule] = PrefixIndex()
        self._everything: Rule | None = None
        self._targets: PrefixIndex[Rule] = PrefixIndex()
        for rule in self.rules:
            self._add(rule)
        cycle = find_cycle(self.rules, self.applicable_rule)
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
        if match.is_catch_all:
            known = self._everything = self._everything or rule
        elif match.is_wildcard:
            known = self._subdomains.add(match.registry[1:], match.path, rule)
        else:
            known = self._exact.add(match.registry, match.path, rule)
        if known is not rule:
            problem = f"match {str(match)!r} stands in two rules; put their mirrors into one"
            raise InvalidRuleError(problem, field="match")

    def matching_rules(self, registry: str, repository: str) -> list[Rule]:
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

    def applicable_rule(self, registry: str, repository: str) -> Rule | None:
        """Return the rule that applies to a name: the first that does not lead there."""
        name = f"{registry}/{repository}" if repository else registry
        for rule in self.matching_rules(registry, repository):
            if not rule.is_at_own_mirror(name):
                return rule
        return None

    def candidates(self, reference: ImageReference) -> tuple[Candidate, ...]:
        """Return *reference* as the mirrors name it, in order of preference.

        It is empty where no rule applies, a rule keeps the image, or no mirror
        has a valid name for it.
        """
        rule = self.applicable_rule(reference.registry, reference.repository)
        return self._search(reference, rule)[0]

    def _search(
        self, reference: ImageReference, rule: Rule | None
    ) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
        search = Search(self.applicable_rule)
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
        rule = self.applicable_rule(reference.registry, reference.repository)
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
            for rule in self.matching_rules(reference.registry, reference.repository)
            if rule.is_at_own_mirror(name)
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


# Only regular expressions can make longer chains or more names than people write;
# what they make beyond this ends in the original.
MAX_STEPS: Final = 16
MAX_CANDIDATES: Final = 64


class Search:
    """The walk from one reference through rules and mirrors to the names at rest.

    A name that every mirror refuses, or gives an invalid name, is at rest, unless it is
    the one that the walk began with; a way that leads back gives nothing.

    Args:
        applicable: Gives the rule that applies to a registry and a repository.

    Attributes:
        found: The candidates by their names, in order of preference.
        problems: What kept other mirrors from giving a name.
    """

    def __init__(self, applicable: Callable[[str, str], Rule | None]) -> None:
        self._applicable = applicable
        self.found: dict[str, Candidate] = {}
        self.problems: list[str] = []

    def walk(
        self,
        reference: ImageReference,
        rule: Rule | None,
        steps: tuple[tuple[Rule, Mirror], ...],
        names: tuple[str, ...],
    ) -> None:
        """Find the names at rest from *reference* on.

        Args:
            reference: Where to begin.
            rule: The rule that applies to it.
            steps: The rules and mirrors that led there.
            names: The names on the way.
        """
        if rule is None or rule.keep:
            self.rest(reference, steps)
            return
        refused = 0
        for mirror in rule.mirrors:
            if len(self.found) == MAX_CANDIDATES:
                return
            if mirror.allowlist is not None and not mirror.allowlist.allows(reference.name):
                unlisted = f"{reference.name} is not on {mirror.allowlist.name}"
                self.problems.append(f"rule {rule} → {mirror.target}: {unlisted}")
                refused += 1
                continue
            try:
                named = rule.rewrite_reference(mirror, reference)
            except InvalidReferenceError as error:
                self.problems.append(f"rule {rule} → {mirror.target}: {error}")
                refused += 1
                continue
            if named.name in names or len(steps) == MAX_STEPS:
                walk = " → ".join(names)
                self.problems.append(f"the rules lead back to where they began: {walk}")
                continue
            onward = self._applicable(named.registry, named.repository)
            self.walk(named, onward, (*steps, (rule, mirror)), (*names, named.name))
        if refused == len(rule.mirrors):
            self.rest(reference, steps)

    def rest(self, reference: ImageReference, steps: tuple[tuple[Rule, Mirror], ...]) -> None:
        """Note that no rule leads on from *reference*."""
        if steps:
            image = str(reference)
            self.found.setdefault(image, Candidate(reference, steps, image))


MAX_PREFIX: Final = 600  # a repository of 255 characters, and a long registry


def find_cycle(
    rules: Iterable[Rule], applicable: Callable[[str, str], Rule | None]
) -> tuple[Rule, ...]:
    """Return rules that feed each other in a circle, in order; empty if there are none.

    Args:
        rules: The rules.
        applicable: Gives the rule that applies to a registry and a repository.
    """
    at_rest: set[str] = set()
    for rule in rules:
        starts = [mirror.target for mirror in rule.mirrors if not mirror.is_template]
        if rule.match is not None and not (rule.match.is_catch_all or rule.match.is_wildcard):
            starts.append(str(rule.match))
        for start in starts:
            cycle = follow(start, applicable, at_rest)
            if cycle:
                return cycle
    return ()


def follow(
    start: str,
    applicable: Callable[[str, str], Rule | None],
    at_rest: set[str],
) -> tuple[Rule, ...]:
    """Return the circle that the way from the prefix *start* ends in, if it does.

    Args:
        start: A registry, or a registry and leading path parts.
        applicable: Gives the rule that applies to a registry and a repository.
        at_rest: Prefixes from which every way is known to end; added to.
    """
    way: list[tuple[str, Rule]] = []
    ahead: list[list[str]] = [[start]]
    while ahead:
        if not ahead[-1]:
            ahead.pop()
            if way:
                at_rest.add(way.pop()[0])
            continue
        prefix = ahead[-1].pop()
        if prefix in at_rest:
            continue
        passed = [name for name, _ in way]
        if prefix in passed:
            return tuple(rule for _, rule in way[passed.index(prefix) :])
        if len(prefix) > MAX_PREFIX:
            turn = last_round([rule for _, rule in way])
            if turn:
                return turn
            at_rest.add(prefix)  # long targets in a row, and no name fits any more
            continue
        registry, _, path = prefix.partition("/")
        rule = applicable(registry, path)
        if rule is None or rule.keep or rule.regex is not None:
            at_rest.add(prefix)
            continue
        way.append((prefix, rule))
        ahead.append([rule.rewrite_name(mirror, registry, path) for mirror in rule.mirrors])
    return ()


def last_round(rules: list[Rule]) -> tuple[Rule, ...]:
    """Return one round of a growing way: the rules from one turn of a rule to its next.

    It is empty if no rule has had two turns.
    """
    for end in range(len(rules) - 1, 0, -1):
        for begin in range(end - 1, -1, -1):
            if rules[begin] == rules[end]:
                return tuple(rules[begin:end])
    return ()

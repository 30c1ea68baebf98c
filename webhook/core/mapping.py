"""Map an image to its candidates at the mirrors.

A rule never applies to a name under one of its own mirrors. If another rule matches the name
that a mirror gives, that rule is applied too, and so on. The result is final: no rule applies to
it, so rewriting it again changes nothing, whatever the rules.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from webhook.core.decision import Candidate, Decision, Outcome
from webhook.core.errors import InvalidReferenceError, InvalidRuleError, RuleCycleError
from webhook.core.reference import MAX_IMAGE, MAX_REGISTRY, find_host_problem, parse_reference
from webhook.core.regex import MAX_MEMORY, RegexSet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from webhook.core.decision import Steps
    from webhook.core.reference import ImageReference
    from webhook.core.rules import Rule

__all__ = ["MirrorMap", "PrefixIndex", "list_starts"]

# No useful rules exceed these; what is beyond them gives no candidate.
_MAX_STEPS: Final = 16
_MAX_CANDIDATES: Final = 64
MAX_VISITS: Final = 256  # names on all paths; the paths through a few mirrors can be millions

# Prefixes that are followed for cycles: with many mirrors at each step there can be millions.
_MAX_PREFIXES: Final = 5000
_MAX_PREFIXES_OF_EACH: Final = 4
_MAX_PREFIX: Final = 600  # characters: a repository of 255, and a long registry


class MirrorMap:
    """Rules, indexed for fast decisions. Immutable.

    Args:
        rules: The rules. Their order matters only among regular expressions, which are tried
            first; among the others the longest match wins.
        regex_memory: Upper bound of the memory for all regular expressions, in bytes.

    Raises:
        InvalidRuleError: Two rules have the same match, or they lead to too many names.
        RuleCycleError: The mirrors of some rules lead back to each other.
    """

    def __init__(self, rules: Iterable[Rule], regex_memory: int = MAX_MEMORY) -> None:
        self._rules: tuple[Rule, ...] = tuple(rules)
        self._regex_rules = tuple(rule for rule in self._rules if rule.regex is not None)
        self._regexes = (
            RegexSet((rule.regex for rule in self._regex_rules if rule.regex), regex_memory)
            if self._regex_rules
            else None
        )
        self._exact = PrefixIndex()
        self._subdomains = PrefixIndex()
        self._catch_all: Rule | None = None
        self._targets = PrefixIndex()
        for rule in self._rules:
            self._add(rule)
        self._check_cycles(list_starts(self._rules))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, in their order."""
        return self._rules

    def _check_cycles(self, starts: Collection[str]) -> None:
        final: set[str] = set()
        most = _MAX_PREFIXES + _MAX_PREFIXES_OF_EACH * len(starts)
        for start in starts:
            cycle = _follow_prefix(start, self.find_applicable_rule, final, most)
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
            indexed = self._catch_all = self._catch_all or rule
        elif match.is_wildcard:
            indexed = self._subdomains.add(match.registry[1:], match.path, rule)
        else:
            indexed = self._exact.add(match.registry, match.path, rule)
        if indexed is not rule:
            problem = f"match {str(match)!r} is used by two rules; put their mirrors into one"
            raise InvalidRuleError(problem, field="match")

    def find_matching_rules(self, registry: str, repository: str) -> list[Rule]:
        """Return the rules that match a name, by precedence.

        Regular expressions come first, in their order; then the longest match, where an exact
        registry precedes ``*.`` with the same path; ``*`` comes last.
        """
        found = self._exact.find(registry, repository)
        if self._subdomains:
            for parent in _parent_domains(registry):
                found += self._subdomains.find(parent, repository)
            found.sort(key=lambda item: -len(item[0]))
        rules = [rule for _, rule in found]
        if self._regexes is not None:
            indexes = self._regexes.find_matches(f"{registry}/{repository}")
            rules[:0] = [self._regex_rules[index] for index in indexes]
        if self._catch_all is not None:
            rules.append(self._catch_all)
        return rules

    def find_target_rules(self, registry: str, repository: str) -> list[Rule]:
        """Return the rules that have a name under one of their mirrors, the longest mirror first.

        Mirrors with groups of a regular expression are not found.
        """
        return [rule for _, rule in self._targets.find(registry, repository)]

    def find_rules_below(self, registry: str, path: str) -> list[Rule]:
        """Return the rules with an exact match that is longer than a prefix, and begins with it."""
        return self._exact.find_below(registry, path)

    def find_applicable_rule(self, registry: str, repository: str) -> Rule | None:
        """Return the first matching rule that does not have the name at one of its mirrors."""
        name = f"{registry}/{repository}" if repository else registry
        for rule in self.find_matching_rules(registry, repository):
            if not rule.is_at_own_mirror(name):
                return rule
        return None

    def candidates(self, reference: ImageReference) -> tuple[Candidate, ...]:
        """Return *reference* at its mirrors, in order of preference.

        Empty if no rule applies, a rule keeps the image, or its name is valid at no mirror.
        """
        rule = self.find_applicable_rule(reference.registry, reference.repository)
        return self._find_candidates(reference, rule)[0]

    def _find_candidates(
        self, reference: ImageReference, rule: Rule | None
    ) -> tuple[tuple[Candidate, ...], list[str]]:
        search = _CandidateSearch(self.find_applicable_rule)
        search.follow(reference, rule, (), (reference.name,))
        return tuple(search.candidates.values()), search.problems

    def decide(self, text: str) -> Decision:
        """Decide on the image *text*, as if every mirror had every image.

        It never raises: an image that cannot be rewritten stays unchanged, with the reason.
        """
        if len(text) > MAX_IMAGE:
            problem = f"it has {len(text):,} characters, more than the {MAX_IMAGE:,} of any image"
            return Decision(text, Outcome.INVALID, problem)
        try:
            reference = parse_reference(text)
        except InvalidReferenceError as error:
            return Decision(text, Outcome.INVALID, error.problem)
        problem = find_host_problem(reference.registry)
        if problem:
            return Decision(text, Outcome.INVALID, problem, reference)
        rule = self.find_applicable_rule(reference.registry, reference.repository)
        if rule is None:
            return self._decide_without_rule(reference)
        if rule.keep:
            return Decision(text, Outcome.KEPT, f"rule {rule} keeps it", reference, rule)
        candidates, problems = self._find_candidates(reference, rule)
        if not candidates:
            reason = "; ".join(problems[:3])
            return Decision(text, Outcome.UNAVAILABLE, reason, reference, rule)
        first = candidates[0]
        return Decision(text, Outcome.REWRITTEN, first.reason, reference, rule, candidates, first)

    def _decide_without_rule(self, reference: ImageReference) -> Decision:
        registry, repository, name = reference.registry, reference.repository, reference.name
        at_target = self.find_target_rules(registry, repository)
        at_mirror = (
            rule
            for rule in self.find_matching_rules(registry, repository)
            if rule.is_at_own_mirror(name)
        )
        rule = next(chain(at_target, at_mirror), None)
        if rule is not None:
            reason = f"it is already at a mirror of rule {rule}"
            return Decision(reference.original, Outcome.MIRRORED, reason, reference, rule)
        reason = f"no rule matches {name}"
        return Decision(reference.original, Outcome.UNMATCHED, reason, reference)


def _parent_domains(registry: str) -> Iterator[str]:
    # With the leading dot, the longest first; no rule has a longer one than a host can have.
    dot = registry.find(".", max(0, len(registry) - MAX_REGISTRY))
    while dot != -1:
        yield registry[dot:]
        dot = registry.find(".", dot + 1)


class PrefixIndex:
    """Rules by registry and leading path parts.

    A look-up costs one dictionary access for each path part, however many rules there are.
    """

    __slots__ = ("_depths", "_registries")

    def __init__(self) -> None:
        self._registries: dict[str, dict[str, Rule]] = {}
        self._depths: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._registries)

    def add(self, registry: str, path: str, rule: Rule) -> Rule:
        """Add a rule, unless the prefix has one, and return the rule of the prefix."""
        depth = path.count("/") + 1 if path else 0
        self._depths[registry] = max(depth, self._depths.get(registry, 0))
        return self._registries.setdefault(registry, {}).setdefault(path, rule)

    def find(self, registry: str, repository: str) -> list[tuple[str, Rule]]:
        """Return the path and the rule of each prefix of a name, the longest first."""
        paths = self._registries.get(registry)
        if paths is None:
            return []
        found = []
        depth = self._depths[registry]
        if depth:
            parts = repository.split("/", depth)
            for count in range(min(depth, len(parts)), 0, -1):
                path = "/".join(parts[:count])
                if path in paths:
                    found.append((path, paths[path]))
        if "" in paths:
            found.append(("", paths[""]))
        return found

    def find_below(self, registry: str, path: str) -> list[Rule]:
        """Return the rules whose prefix is longer than *path*, and begins with it."""
        paths = self._registries.get(registry, {})
        start = f"{path}/" if path else ""
        return [rule for each, rule in paths.items() if each.startswith(start) and each != path]


class _CandidateSearch:
    """Follows a reference from rule to rule until no rule applies.

    A name that each mirror rejects, or for which each has only an invalid name, is final too,
    unless it is the original one. A path that comes back to a name gives no candidate.

    Args:
        find_applicable_rule: `MirrorMap.find_applicable_rule`.

    Attributes:
        candidates: The candidates by their names, in order of preference.
        problems: Why other mirrors gave no candidate.
    """

    def __init__(self, find_applicable_rule: Callable[[str, str], Rule | None]) -> None:
        self._find_applicable_rule = find_applicable_rule
        self._visits = 0
        self.candidates: dict[str, Candidate] = {}
        self.problems: list[str] = []

    def follow(
        self, reference: ImageReference, rule: Rule | None, steps: Steps, names: tuple[str, ...]
    ) -> None:
        """Add the candidates that *reference* leads to.

        Args:
            reference: Where to start.
            rule: The rule that applies to it.
            steps: The rules and mirrors that led to it.
            names: The names on the path to it, and its own.
        """
        if rule is None or rule.keep:
            self._add(reference, steps)
            return
        rejected = 0
        for mirror in rule.mirrors:
            if len(self.candidates) == _MAX_CANDIDATES:
                return
            if self._visits >= MAX_VISITS:
                self.problems.append(f"the rules lead to more than {MAX_VISITS} names")
                return
            self._visits += 1
            if mirror.allowlist is not None and not mirror.allowlist.allows(reference.name):
                problem = f"{reference.name} is not on {mirror.allowlist.name}"
                self.problems.append(f"rule {rule} → {mirror.target}: {problem}")
                rejected += 1
                continue
            try:
                rewritten = rule.rewrite_reference(mirror, reference)
            except InvalidReferenceError as error:
                self.problems.append(f"rule {rule} → {mirror.target}: {error}")
                rejected += 1
                continue
            if rewritten.name in names or len(steps) == _MAX_STEPS:
                path = " → ".join(names)
                self.problems.append(f"the rules form a cycle: {path}")
                continue
            next_rule = self._find_applicable_rule(rewritten.registry, rewritten.repository)
            self.follow(rewritten, next_rule, (*steps, (rule, mirror)), (*names, rewritten.name))
        if rejected == len(rule.mirrors):
            self._add(reference, steps)

    def _add(self, reference: ImageReference, steps: Steps) -> None:
        if steps:
            image = str(reference)
            self.candidates.setdefault(image, Candidate(reference, steps, image))


def list_starts(rules: Iterable[Rule]) -> list[str]:
    """Return the prefixes from which every cycle of some rules can be found.

    All names under a prefix take the same path as the prefix itself, unless a longer match takes
    some of them elsewhere; that longer match is a prefix to start from as well. So it is enough
    to follow the match and the mirrors of each rule. A prefix that comes back is a cycle; so is
    one that outgrows any repository, as it grows for every name. Regular expressions are not
    followed: whether they match is known only for a name.
    """
    starts = []
    for rule in rules:
        starts += [mirror.target for mirror in rule.mirrors if not mirror.is_template]
        if rule.match is not None and rule.match.is_exact:
            starts.append(str(rule.match))
    return starts


def _follow_prefix(
    start: str,
    find_applicable_rule: Callable[[str, str], Rule | None],
    final: set[str],
    most: int,
) -> tuple[Rule, ...]:
    """Return the cycle that the prefix *start* leads to, or nothing.

    The search is depth-first, with a stack of its own: there may be thousands of rules in a row.
    *final* holds the prefixes that are known to lead to no cycle; more are added, up to *most*.
    """
    path: dict[str, Rule] = {}
    stack: list[list[str]] = [[start]]
    while stack:
        if not stack[-1]:
            stack.pop()
            if path:
                final.add(path.popitem()[0])
            continue
        prefix = stack[-1].pop()
        if prefix in final:
            continue
        if len(final) > most:
            problem = "the rules lead to too many names: use fewer mirrors in rules of a chain"
            raise InvalidRuleError(problem, field="mirrors")
        if prefix in path:
            return tuple(path.values())[list(path).index(prefix) :]
        if len(prefix) > _MAX_PREFIX:
            cycle = _last_round(list(path.values()))
            if cycle:
                return cycle
            final.add(prefix)  # a row of long targets: no name fits any more
            continue
        registry, _, repository = prefix.partition("/")
        rule = find_applicable_rule(registry, repository)
        if rule is None or rule.keep or rule.regex is not None:
            final.add(prefix)
            continue
        path[prefix] = rule
        stack.append([rule.rewrite_name(mirror, registry, repository) for mirror in rule.mirrors])
    return ()


def _last_round(rules: list[Rule]) -> tuple[Rule, ...]:
    """Return the rules from the last repeated rule to its repetition; empty if none repeats."""
    for end in range(len(rules) - 1, 0, -1):
        for begin in range(end - 1, -1, -1):
            if rules[begin] == rules[end]:
                return tuple(rules[begin:end])
    return ()

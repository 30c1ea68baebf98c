"""Rules that lead back to each other, found before any image meets them.

Every name under one prefix takes the same way as the prefix itself, until a
longer match takes it elsewhere; and that longer match is a prefix from which the
search begins too. So it is enough to follow each rule's match, and each mirror,
from rule to rule. A prefix that comes back is a cycle; so is one that grows
beyond what a repository can be, since it grows for every name.
Regular expressions are not followed: what they match is known only with a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from webhook.core.rules import Rule

__all__ = ["find_cycle"]

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
        if rule.match is not None and not (rule.match.is_everything or rule.match.is_wildcard):
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
        if rule is None or rule.keep or rule.pattern is not None:
            at_rest.add(prefix)
            continue
        way.append((prefix, rule))
        ahead.append([rule.name_at(mirror, registry, path) for mirror in rule.mirrors])
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

"""Rules of a team before those of the platform.

For each name, the rules of the team come before those of the platform. They do not apply to
names that are protected: those that an enforced rule of the platform matches, and all names that
these can lead to. So whatever the rules of a team, the images of enforced rules are rewritten as
without them, from the first step to the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhook.core.mapping import MirrorMap, PrefixIndex, list_starts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webhook.core.rules import Rule

__all__ = ["LayeredMap", "PlatformLayer"]


class PlatformLayer:
    """The rules of the platform, and which names teams cannot change. Immutable.

    Args:
        mirrors: The rules.

    Attributes:
        mirrors: The rules.
        is_enforced: Whether any of them is enforced.
        starts: Prefixes from which every cycle can be found that the rules of a team make with
            these, together with `list_starts` of the team's rules and of the rules below their
            mirrors.
    """

    def __init__(self, mirrors: MirrorMap) -> None:
        self.mirrors = mirrors
        self.is_enforced = any(rule.enforced for rule in mirrors.rules)
        self.starts = tuple(_list_chain_starts(mirrors))
        reached = _find_reached_rules(mirrors) if self.is_enforced else ()
        self._targets = PrefixIndex()
        self._templates: list[Rule] = []
        for rule in reached:
            for mirror in rule.mirrors:
                if mirror.fixed_part:
                    self._targets.add(*_split(mirror.fixed_part), rule)
                else:
                    self._templates.append(rule)

    def find_protector(self, registry: str, repository: str) -> Rule | None:
        """Return a rule because of which no rule of a team applies to a name, or None."""
        if not self.is_enforced:
            return None
        for rule in self.mirrors.find_matching_rules(registry, repository):
            if rule.enforced:
                return rule
        for _, rule in self._targets.find(registry, repository):
            return rule
        name = f"{registry}/{repository}" if repository else registry
        return next((rule for rule in self._templates if rule.is_at_own_mirror(name)), None)


class LayeredMap(MirrorMap):
    """The rules of a team before those of the platform. Immutable.

    Args:
        team: The rules of the team.
        platform: The rules of the platform.

    Raises:
        RuleCycleError: The mirrors of some rules lead back to each other.
    """

    def __init__(self, team: MirrorMap, platform: PlatformLayer) -> None:
        self.team = team
        self.platform = platform
        # Many rules may have the same mirror, and each mirror many rules below it.
        targets = dict.fromkeys(mirror.target for rule in team.rules for mirror in rule.mirrors)
        below = (
            rule
            for target in targets
            for rule in platform.mirrors.find_rules_below(*_split(target))
        )
        self._check_cycles([*list_starts(team.rules), *list_starts(below), *platform.starts])

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the team, and then those of the platform."""
        return (*self.team.rules, *self.platform.mirrors.rules)

    def find_matching_rules(self, registry: str, repository: str) -> list[Rule]:
        """Return the rules that match a name, by precedence."""
        rules = self.platform.mirrors.find_matching_rules(registry, repository)
        own = self.team.find_matching_rules(registry, repository)
        if own and self.platform.find_protector(registry, repository) is None:
            rules[:0] = own
        return rules

    def find_overruled_rules(self, registry: str, repository: str) -> list[tuple[Rule, Rule]]:
        """Return the team's rules that match a protected name, each with what protects it."""
        protector = self.platform.find_protector(registry, repository)
        if protector is None:
            return []
        return [(rule, protector) for rule in self.team.find_matching_rules(registry, repository)]

    def find_target_rules(self, registry: str, repository: str) -> list[Rule]:
        """Return the rules that have a name under one of their mirrors, those of the team first."""
        rules = self.platform.mirrors.find_target_rules(registry, repository)
        own = self.team.find_target_rules(registry, repository)
        if own and self.platform.find_protector(registry, repository) is None:
            rules[:0] = own
        return rules


def _list_chain_starts(mirrors: MirrorMap) -> Iterator[str]:
    """Yield prefixes from which cycles can be found that need rules of a team.

    Each name of a cycle is under a mirror. The shortest names that take its path are cut off at
    the match of one of its rules, which is therefore under a mirror, too. A rule without an
    exact match has no such name of its own: it is followed from its mirrors.
    """
    for rule in mirrors.rules:
        match = rule.match
        if match is None or not match.is_exact:
            yield from list_starts([rule])
        elif mirrors.find_target_rules(match.registry, match.path):
            yield str(match)


def _find_reached_rules(mirrors: MirrorMap) -> Iterable[Rule]:
    """Return the rules that may apply to an image of an enforced rule, at any step.

    Too many do no harm: names that they lead to are protected without need. These are all rules
    if an enforced rule has no exact match, or a mirror takes its host from a regex.
    """
    reached: dict[int, Rule] = {}
    prefixes: list[tuple[str, str]] = []

    def reach(rules: Iterable[Rule]) -> None:
        for rule in rules:
            if id(rule) not in reached:
                reached[id(rule)] = rule
                prefixes.extend(_split(mirror.fixed_part) for mirror in rule.mirrors)

    reach(rule for rule in mirrors.rules if rule.enforced)
    for rule in list(reached.values()):
        if rule.match is None or not rule.match.is_exact:
            return mirrors.rules
        prefixes.append((rule.match.registry, rule.match.path))
    # Whether these match a longer name is known only for the name.
    reach(rule for rule in mirrors.rules if rule.match is None or rule.match.is_wildcard)
    while prefixes:
        registry, path = prefixes.pop()
        if not registry:
            return mirrors.rules
        name = f"{registry}/{path}" if path else registry
        above = mirrors.find_matching_rules(registry, path)
        reach(rule for rule in above if not rule.is_at_own_mirror(name))
        reach(mirrors.find_rules_below(registry, path))
    return reached.values()


def _split(prefix: str) -> tuple[str, str]:
    registry, _, path = prefix.partition("/")
    return registry, path

"""Warnings about policies and rules that are valid but may be a mistake."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from webhook.config.models import DEFAULT_POLICY
from webhook.core.reference import DOCKER_HUB, looks_like_registry
from webhook.profiles import PROFILES, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from webhook.config.errors import Diagnostics, SourceLocation
    from webhook.config.models import PolicySettings
    from webhook.config.rules import LocatedRule
    from webhook.core import Mirror, MirrorMap, Rule

__all__ = ["lint_policies", "lint_profiles", "lint_rules"]

MAX_NAMES: Final = 3


def lint_policies(
    policies: Collection[PolicySettings],
    locations: Mapping[str, SourceLocation],
    diagnostics: Diagnostics,
) -> None:
    """Warn about policies without rules; an empty default is fine if there are others."""
    for policy in policies:
        if not policy.mirrors.rules and (policy.name != DEFAULT_POLICY or len(policies) == 1):
            warning = f"policy {policy.name} has no rules: it changes nothing"
            diagnostics.add_warning(locations[policy.name], warning)


def lint_profiles(profiles: Mapping[str, SourceLocation], diagnostics: Diagnostics) -> None:
    """Warn about profiles whose mirrors are not open to everybody."""
    for name, location in profiles.items():
        profile = PROFILES[name]
        if profile.status is not Status.OPEN:
            status = f"{profile.status} (as of {profile.date})"
            diagnostics.add_warning(location, f"profile {name} is {status}: {profile.note}")


def lint_rules(rules: Iterable[LocatedRule], mirrors: MirrorMap, diagnostics: Diagnostics) -> None:
    """Warn about rules that apply to nothing, or to more than may be meant.

    Args:
        rules: The rules of the file.
        mirrors: All rules of the policy, with those of profiles.
        diagnostics: Where the warnings are added.
    """
    for rule, location in rules:
        match = rule.match
        if match is None or match.is_wildcard:
            continue
        if match.is_catch_all:
            _lint_catch_all(mirrors, location, diagnostics)
        elif not looks_like_registry(match.registry):
            diagnostics.add_warning(
                location,
                f"{match.registry!r} is not a registry, as it has neither '.' nor ':'; for "
                f"images on Docker Hub write match: {DOCKER_HUB}/{match}",
            )
        elif _is_inert(rule):
            held = next(mirror.target for mirror in rule.mirrors if mirror.covers(str(match)))
            diagnostics.add_warning(
                location,
                f"the rule never applies, because its mirror {held} contains everything that it "
                "matches: remove that mirror",
            )


def _lint_catch_all(mirrors: MirrorMap, location: SourceLocation, diagnostics: Diagnostics) -> None:
    """Warn about mirrors of other rules that the rule ``*`` sends on to its own mirrors."""
    sources: dict[str, dict[str, None]] = {}  # rules by registry, as an ordered set
    for rule in mirrors.rules:
        for mirror in () if _is_inert(rule) else rule.mirrors:
            registry, _, path = _get_fixed_part(mirror).partition("/")
            applied = mirrors.find_applicable_rule(registry, path) if registry else None
            if applied is not None and applied.match and applied.match.is_catch_all:
                sources.setdefault(registry, {})[str(rule)] = None
    for registry, names in sources.items():
        listed = ", ".join(islice(names, MAX_NAMES))
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        diagnostics.add_warning(
            location,
            f"{registry} is a mirror of {listed}{more}, and this rule applies to it as well; to "
            f"prevent that, add a rule with match: {registry} and keep: true",
        )


def _is_inert(rule: Rule) -> bool:
    """Return whether a rule applies to nothing, because its own mirror holds all it matches."""
    return rule.match is not None and rule.is_at_own_mirror(str(rule.match))


def _get_fixed_part(mirror: Mirror) -> str:
    """Return the path parts of a target before its first group."""
    if not mirror.is_template:
        return mirror.target
    return mirror.target.partition("\\")[0].rpartition("/")[0]

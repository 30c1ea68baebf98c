"""What a policy is warned of: rules that work, and may not do what is meant."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from webhook.core.reference import DOCKER_HUB, names_registry
from webhook.profiles import PROFILES, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.config.assembly import OwnRule
    from webhook.config.problems import Findings, Spot
    from webhook.core import Mirror, MirrorMap, Rule

__all__ = ["warn_of_profiles", "warn_of_rules"]

MAX_NAMED: Final = 3


def warn_of_profiles(profiles: Iterable[tuple[str, Spot]], findings: Findings) -> None:
    """Warn of profiles whose mirrors are not there for everybody."""
    for name, spot in profiles:
        profile = PROFILES[name]
        if profile.status is not Status.OPEN:
            state = f"{profile.status} (as of {profile.date})"
            findings.warn(spot, f"profile {name} is {state}: {profile.note}")


def warn_of_rules(own: Iterable[OwnRule], mirrors: MirrorMap, findings: Findings) -> None:
    """Warn of rules of the file that apply to nothing, or to more than is meant."""
    for rule, spot in own:
        match = rule.match
        if match is None or match.is_wildcard:
            continue
        if match.is_everything:
            warn_of_detours(mirrors, spot, findings)
        elif not names_registry(match.registry):
            findings.warn(
                spot,
                f"no image is at {match.registry!r}, which has neither '.' nor ':': such "
                f"names are on Docker Hub; write match: {DOCKER_HUB}/{match}",
            )
        elif is_inert(rule):
            held = next(m.target for m in rule.mirrors if m.holds(str(match)))
            findings.warn(
                spot,
                f"the rule applies to nothing, as all that it matches is at its own mirror "
                f"{held} already: remove that mirror",
            )


def warn_of_detours(mirrors: MirrorMap, spot: Spot, findings: Findings) -> None:
    """Warn where the rule for every registry takes the mirrors of other rules for sources.

    Args:
        mirrors: All rules.
        spot: Where the rule for every registry stands.
        findings: Takes the warnings.
    """
    sources: dict[str, dict[str, None]] = {}  # names in order, each once
    for rule in mirrors.rules:
        for mirror in () if is_inert(rule) else rule.mirrors:
            registry, _, path = literal(mirror).partition("/")
            applied = mirrors.applicable(registry, path) if registry else None
            if applied is not None and applied.match and applied.match.is_everything:
                sources.setdefault(registry, {})[str(rule)] = None
    for registry, names in sources.items():
        listed = ", ".join(islice(names, MAX_NAMED))
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        findings.warn(
            spot,
            f"{registry} is the mirror of {listed}{more}, and this rule sends it on to its "
            f"own mirrors; if that is not meant, add a rule with match: {registry} and "
            "keep: true",
        )


def is_inert(rule: Rule) -> bool:
    """Say whether a rule applies to nothing, since all it matches is at its own mirror."""
    return rule.match is not None and rule.is_mirrored(str(rule.match))


def literal(mirror: Mirror) -> str:
    """Return the part of a target that stands fast: all of it, or whole parts before a group."""
    if not mirror.is_template:
        return mirror.target
    return mirror.target.partition("\\")[0].rpartition("/")[0]

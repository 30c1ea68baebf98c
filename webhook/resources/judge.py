"""Why an object cannot be used, by itself: its content, and what the platform allows."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from webhook.config.errors import Problem
from webhook.config.models import Mode
from webhook.core import Rule
from webhook.profiles import PROFILES
from webhook.resources.verdict import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webhook.config import Configuration
    from webhook.config.delegation import Delegation
    from webhook.config.errors import SourceLocation
    from webhook.core import Mirror
    from webhook.resources.objects import ResourceObject

__all__ = ["judge_platform_object", "judge_team_object", "list_profile_rules", "refuse_namespace"]

# Settings of a team that could leave images of enforced rules unchanged.
SWITCHES: Final = ("mode", "availability", "loops")


def judge_platform_object(each: ResourceObject, configuration: Configuration) -> Refusal | None:
    """Return why an object of the cluster cannot be used, or None.

    Args:
        each: The object.
        configuration: The rules file.
    """
    if each.problems:
        return Refusal(Reason.INVALID, each.problems)
    policy = each.spec.policy
    if policy not in configuration.policies:
        known = ", ".join(configuration.policies)
        problem = f"the rules file has no policy {policy}; it has {known}"
        return _refuse(each, Reason.POLICY_NOT_FOUND, "policy", problem)
    return None


def judge_team_object(
    each: ResourceObject,
    delegation: Delegation | None,
    labels: Mapping[str, str],
    *,
    is_enforced: bool,
) -> Refusal | None:
    """Return why an object of a namespace cannot be used, or None.

    Args:
        each: The object.
        delegation: What the platform allows.
        labels: The labels of the namespace.
        is_enforced: Whether the platform has enforced rules.
    """
    if delegation is None:
        problem = "no namespace may have rules of its own: add delegation to the rules file"
        return refuse_namespace(each, Reason.NOT_DELEGATED, problem)
    mismatch = delegation.find_mismatch(labels)
    if mismatch:
        problem = f"namespace {each.namespace} may not have rules of its own: {mismatch}"
        return refuse_namespace(each, Reason.NOT_DELEGATED, problem)
    if each.problems:
        return Refusal(Reason.INVALID, each.problems)
    for rule, location in each.spec.rules:
        if rule.enforced:
            problem = "only ClusterMirrorRules can enforce a rule: remove enforced"
            return Refusal(Reason.NOT_ALLOWED, (Problem.at(location, problem),))
    if is_enforced:
        for key in SWITCHES:
            if key in each.spec.settings and each.spec.settings[key] is not Mode.REWRITE:
                problem = (
                    f"the platform has enforced rules, which {key} could switch off: remove it"
                )
                return _refuse(each, Reason.NOT_ALLOWED, key, problem)
    problems = tuple(_iterate_mirror_problems(each, delegation))
    return Refusal(Reason.MIRROR_NOT_ALLOWED, problems) if problems else None


def refuse_namespace(each: ResourceObject, reason: Reason, message: str) -> Refusal:
    """Return the refusal of an object because of its namespace."""
    location = replace(each.spec.locations[""], path="metadata.namespace")
    return Refusal(reason, (Problem.at(location, message),))


def _refuse(each: ResourceObject, reason: Reason, key: str, message: str) -> Refusal:
    """Return the refusal of an object because of a key of its spec."""
    location = each.spec.locations.get(key, each.spec.locations[""])
    return Refusal(reason, (Problem.at(location, message),))


def _iterate_mirror_problems(each: ResourceObject, delegation: Delegation) -> Iterator[Problem]:
    """Yield which mirrors are not allowed."""
    allowed = " or ".join(map(str, delegation.mirrors)) or "no registry"
    for location, mirror in _iterate_mirrors(each):
        if not delegation.allows(mirror):
            problem = (
                f"{mirror.target} is not allowed: mirrors of this namespace have to be under "
                f"{allowed}"
            )
            yield Problem.at(location, problem)


def _iterate_mirrors(each: ResourceObject) -> Iterator[tuple[SourceLocation, Mirror]]:
    """Yield each registry that an object leads to, and where it is named."""
    for rule, location in each.spec.rules:
        for number, mirror in enumerate(rule.mirrors):
            yield _extend(location, f".mirrors[{number}]"), mirror
        if rule.trusted is not None:
            yield _extend(location, ".trusted"), rule.trusted
    for profile, location in each.spec.profiles.items():
        for rule in PROFILES[profile].rules:
            for mirror in rule.mirrors:
                yield location, mirror


def _extend(location: SourceLocation, step: str) -> SourceLocation:
    return replace(location, path=location.path + step)


@lru_cache(maxsize=1024)
def list_profile_rules(profile: str, owner: str) -> tuple[Rule, ...]:
    """Return the rules of a profile as those of an object."""
    return tuple(
        Rule(str(rule.match), rule.mirrors, source=profile, owner=owner)
        for rule in PROFILES[profile].rules
    )

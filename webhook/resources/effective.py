"""What the rules file and all objects are together, for each policy and namespace.

The rules file is the base. Objects are judged by age: one that contradicts an older object is
refused. The last accepted generation of an object that is refused stays in use as long as it
would be accepted itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from webhook.config.errors import Problem
from webhook.core import InvalidRuleError, LayeredMap, MirrorMap, PlatformLayer, RuleCycleError
from webhook.profiles import PROFILES
from webhook.resources.judge import (
    judge_platform_object,
    judge_team_object,
    list_profile_rules,
    refuse_namespace,
)
from webhook.resources.verdict import Reason, Refusal, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    from webhook.config import Configuration, PolicySettings
    from webhook.config.errors import SourceLocation
    from webhook.core import Rule
    from webhook.resources.objects import ResourceObject

    Policies: TypeAlias = Mapping[str, PolicySettings]
    Labels: TypeAlias = Mapping[str, str]
    Build: TypeAlias = Callable[[Sequence[ResourceObject]], Policies]
    Judge: TypeAlias = Callable[[ResourceObject], Refusal | None]

__all__ = ["Effective", "build_effective"]

MAX_TEAM_REGEX_MEMORY: Final = 128 * 1024  # some 50 usual expressions
MAX_TEAM_RULES: Final = 1000  # of a namespace, with those of profiles
# Of a namespace. To find out which of them makes a cycle takes a build for each.
MAX_TEAM_OBJECTS: Final = 32
NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Layer:
    """The objects of one layer: those of the cluster, or those of a namespace.

    Attributes:
        objects: The objects by age.
        policies: The policies with their rules.
        verdicts: Whether each is in use.
        good: The last accepted generation of each by UID, if there is one.
    """

    objects: tuple[ResourceObject, ...]
    policies: Policies
    verdicts: tuple[Verdict, ...]
    good: Mapping[str, ResourceObject]


@dataclass(frozen=True, slots=True)
class _Platform:
    """The rules file with the objects of the cluster."""

    configuration: Configuration
    layer: _Layer
    below: Mapping[str, PlatformLayer]


@dataclass(frozen=True, slots=True)
class Effective:
    """The rules that apply in each namespace, and what became of each object. Immutable.

    Attributes:
        configuration: The rules file.
        policies: The policies of the platform, for all namespaces without rules of their own.
        verdicts: Whether each object is in use, by UID.
        platform: The rules file with the objects of the cluster, for the next build.
        namespaces: The objects of each namespace, and its labels, for the next build.
    """

    configuration: Configuration
    policies: Policies
    verdicts: Mapping[str, Verdict]
    platform: _Platform = field(repr=False)
    namespaces: Mapping[str, tuple[_Layer, Labels]] = field(repr=False)

    def find(self, policy: str, namespace: str) -> PolicySettings | None:
        """Return a policy as it applies in a namespace; None if there is no such policy.

        While nothing of it changes, it is the same object from build to build.
        """
        found = self.namespaces.get(namespace)
        policies = self.policies if found is None else found[0].policies
        return policies.get(policy)


def build_effective(
    configuration: Configuration,
    cluster_rules: Iterable[ResourceObject],
    team_rules: Iterable[ResourceObject],
    namespaces: Mapping[str, Labels],
    previous: Effective | None = None,
) -> Effective:
    """Return what the rules file and all objects are together.

    It is cheap if little has changed since *previous*, and takes long if the rules file or the
    objects of the cluster have changed and many namespaces have rules.

    Args:
        configuration: The rules file.
        cluster_rules: All ClusterMirrorRules.
        team_rules: All MirrorRules.
        namespaces: The labels of the namespaces.
        previous: The last result, which knows the last accepted generations.
    """
    platform = _build_platform(
        configuration, _sort(cluster_rules), previous.platform if previous else None
    )
    grouped: dict[str, list[ResourceObject]] = {}
    for each in team_rules:
        grouped.setdefault(each.namespace, []).append(each)
    before = previous.namespaces if previous else {}
    is_same = previous is not None and previous.platform is platform
    layers: dict[str, tuple[_Layer, Labels]] = {}
    verdicts = {each.object.uid: each for each in platform.layer.verdicts}
    for namespace, members in grouped.items():
        objects = _sort(members)
        labels = namespaces.get(namespace, NO_LABELS)
        old = before.get(namespace)
        if old and is_same and old[0].objects == objects and old[1] == labels:
            layers[namespace] = old
        else:
            layers[namespace] = (_build_team(platform, objects, labels, old), labels)
        for verdict in layers[namespace][0].verdicts:
            verdicts[verdict.object.uid] = verdict
    return Effective(configuration, platform.layer.policies, verdicts, platform, layers)


def _sort(objects: Iterable[ResourceObject]) -> tuple[ResourceObject, ...]:
    return tuple(sorted(objects, key=lambda each: each.age))


def _build_platform(
    configuration: Configuration, objects: tuple[ResourceObject, ...], old: _Platform | None
) -> _Platform:
    """Return the rules file with the objects of the cluster."""
    if old and old.configuration is configuration and old.layer.objects == objects:
        return old

    def build(used: Sequence[ResourceObject]) -> Policies:
        return {
            name: _extend_policy(settings, [each for each in used if each.spec.policy == name])
            for name, settings in configuration.policies.items()
        }

    layer = _build_layer(
        objects,
        old.layer.good if old else {},
        lambda each: judge_platform_object(each, configuration),
        build,
    )
    below = {name: PlatformLayer(each.mirrors) for name, each in layer.policies.items()}
    return _Platform(configuration, layer, below)


def _build_team(
    platform: _Platform,
    objects: tuple[ResourceObject, ...],
    labels: Labels,
    old: tuple[_Layer, Labels] | None,
) -> _Layer:
    """Return the rules of one namespace above those of the platform."""
    policies = platform.layer.policies
    is_enforced = any(each.is_enforced for each in platform.below.values())

    def build(used: Sequence[ResourceObject]) -> Policies:
        if not used:
            return policies
        rules = _list_rules((), used, ())
        if len(rules) > MAX_TEAM_RULES:
            problem = f"a namespace cannot have more than {MAX_TEAM_RULES:,} rules: remove some"
            raise InvalidRuleError(problem)
        team = MirrorMap(rules, MAX_TEAM_REGEX_MEMORY)
        return {
            name: _change_settings(
                replace(settings, mirrors=LayeredMap(team, platform.below[name])), used
            )
            for name, settings in policies.items()
        }

    layer = _build_layer(
        objects[:MAX_TEAM_OBJECTS],
        old[0].good if old else {},
        lambda each: judge_team_object(
            each, platform.configuration.delegation, labels, is_enforced=is_enforced
        ),
        build,
    )
    message = f"a namespace cannot have more than {MAX_TEAM_OBJECTS} MirrorRules: remove some"
    excess = []
    for each in objects[MAX_TEAM_OBJECTS:]:
        refusal = refuse_namespace(each, Reason.NOT_ALLOWED, message)
        excess.append(Verdict(each, refusal.reason, refusal.problems))
    return replace(layer, objects=objects, verdicts=(*layer.verdicts, *excess)) if excess else layer


def _build_layer(
    objects: tuple[ResourceObject, ...],
    good: Mapping[str, ResourceObject],
    judge: Judge,
    build: Build,
) -> _Layer:
    """Return the objects of a layer that can be used, with their policies.

    Args:
        objects: The objects by age.
        good: The last accepted generations by UID.
        judge: Returns why an object cannot be used, by itself.
        build: Returns the policies with some objects, or raises `InvalidRuleError`.
    """
    used, verdicts = _select(objects, good, judge, None)
    try:
        policies = build(used)
    except InvalidRuleError:
        # Find out which objects are at fault.
        used, verdicts = _select(objects, good, judge, build)
        policies = build(used)
    kept = {each.uid: good[each.uid] for each in objects if each.uid in good}
    return _Layer(objects, policies, tuple(verdicts), kept | {each.uid: each for each in used})


def _select(
    objects: Iterable[ResourceObject],
    good: Mapping[str, ResourceObject],
    judge: Judge,
    build: Build | None,
) -> tuple[list[ResourceObject], list[Verdict]]:
    """Return the generations of objects to use, and what becomes of each object."""
    used: list[ResourceObject] = []
    verdicts = []
    taken: dict[Hashable, tuple[ResourceObject, Any]] = {}
    for current in objects:
        refusal: Refusal | None = None
        generation: int | None = None
        for each in dict.fromkeys((current, good.get(current.uid, current))):
            problem = judge(each) or _find_conflict(each, taken)
            if problem is None and build is not None:
                problem = _try_build(build, used, each)
            if problem is None:
                used.append(each)
                taken |= {claim.key: (each, claim.value) for claim in _list_claims(each)}
                generation = each.generation
                break
            refusal = refusal or problem
        if refusal is None:
            verdicts.append(Verdict(current, in_use=generation))
        else:
            verdicts.append(Verdict(current, refusal.reason, refusal.problems, generation))
    return used, verdicts


def _try_build(
    build: Build, used: Sequence[ResourceObject], each: ResourceObject
) -> Refusal | None:
    """Return why an object cannot be used together with others."""
    try:
        build([*used, each])
    except InvalidRuleError as error:
        reason = Reason.CYCLE if isinstance(error, RuleCycleError) else Reason.INVALID
        return Refusal(reason, (Problem.at(each.spec.locations[""], error.problem),))
    return None


class _Claim(NamedTuple):
    """What no younger object of the layer may say differently."""

    key: Hashable
    value: Any
    location: SourceLocation
    subject: str


def _list_claims(each: ResourceObject) -> list[_Claim]:
    policy, spec = each.spec.policy, each.spec
    claims = [
        # Even the same mirrors are a conflict, as it is unclear whose rule it is.
        _Claim((policy, "rules", rule.name), each.uid, location, f"a rule for {rule.name}")
        for rule, location in spec.rules
    ]
    claims += [
        _Claim((policy, key), value, spec.locations[key], f"another value of {key}")
        for key, value in spec.settings.items()
    ]
    return claims


def _find_conflict(
    each: ResourceObject, taken: Mapping[Hashable, tuple[ResourceObject, Any]]
) -> Refusal | None:
    """Return which older objects say something else."""
    problems = []
    for claim in _list_claims(each):
        winner, value = taken.get(claim.key, (each, claim.value))
        if value != claim.value:
            problem = f"{winner}, which is older, has {claim.subject}: remove one of them"
            problems.append(Problem.at(claim.location, problem))
    return Refusal(Reason.CONFLICT, tuple(problems)) if problems else None


def _extend_policy(settings: PolicySettings, used: Sequence[ResourceObject]) -> PolicySettings:
    """Return a policy of the rules file with the objects that add to it."""
    if not used:
        return settings
    own = [rule for rule in settings.mirrors.rules if not rule.source]
    mirrors = MirrorMap(_list_rules(own, used, settings.profiles))
    profiles = dict.fromkeys([name for each in used for name in each.spec.profiles])
    profiles |= dict.fromkeys(settings.profiles)
    return _change_settings(replace(settings, mirrors=mirrors, profiles=tuple(profiles)), used)


def _list_rules(
    own: Iterable[Rule], used: Sequence[ResourceObject], profiles: Iterable[str]
) -> list[Rule]:
    """Return the rules of a layer.

    Args:
        own: Rules of the file; those of objects with the same match take their places.
        used: The objects.
        profiles: Profiles of the file, which come after those of objects.
    """
    by_match = {rule.name: rule for rule in own}
    by_match |= {rule.name: rule for each in used for rule, _ in each.spec.rules}
    for each in used:
        for name in each.spec.profiles:
            for rule in list_profile_rules(name, str(each)):
                by_match.setdefault(rule.name, rule)
    for name in profiles:
        for rule in PROFILES[name].rules:
            by_match.setdefault(rule.name, rule)
    return list(by_match.values())


def _change_settings(settings: PolicySettings, used: Sequence[ResourceObject]) -> PolicySettings:
    """Return a policy with the settings of some objects; the oldest come first.

    Raises:
        InvalidRuleError: A rule needs a setting that is off.
    """
    changes: dict[str, Any] = {}
    for each in reversed(used):
        changes |= each.spec.settings
    new, old = changes.get("availability"), settings.availability
    if new and old:
        # An object cannot name files, and one of a team not say how registries are reached.
        changes["availability"] = replace(
            new,
            credentials=old.credentials,
            ca_files=old.ca_files,
            plain_http=new.plain_http | old.plain_http,
            use_proxies=old.use_proxies if new.use_proxies is None else new.use_proxies,
        )
    changed = replace(settings, **changes)
    if changed.availability is None and any(rule.verify for rule in changed.mirrors.rules):
        problem = "verify: digest needs availability checks: set availability.mode to check"
        raise InvalidRuleError(problem, field="verify")
    return changed

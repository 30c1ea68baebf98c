"""Rules from the custom resources of kube-image-keeper 2 (`source`_).

For each image it makes a list of alternatives from all resources that match, the image itself
among them, and takes the first that is available.

.. _source: https://github.com/enix/kube-image-keeper/blob/main/internal/webhook/core/v1/pod_webhook.go
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.core import Original
from webhook.imports.lines import (
    LineMapping,
    as_list,
    as_mapping,
    as_texts,
    get_line,
    get_priority,
    is_true,
    iter_objects,
)
from webhook.imports.patterns import NamePattern, escape, parse_pattern, parse_patterns
from webhook.imports.rule_set import ForeignFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.imports.lines import LineText
    from webhook.imports.rule_set import RuleSet

__all__ = ["import_kube_image_keeper"]

MIRROR_KINDS: Final = ("ClusterImageSetMirror", "ImageSetMirror")
REPLICA_KINDS: Final = ("ClusterReplicatedImageSet", "ReplicatedImageSet")
OTHER_KINDS: Final = ("ClusterImageSetAvailability",)
FILTER_KEYS: Final = ("filter", "imageFilter", "images")
POD_KEYS: Final = ("label", "annotation", "namespace")
POD_FILTERS: Final = ("podFilter", "namespaceFilter")
_REGEX_ATOM: Final = re.compile(r"\\?(.)", re.DOTALL)


class ImageFilter(NamedTuple):
    """The images that a resource is for, with the lines of the patterns."""

    includes: list[tuple[int, NamePattern]]
    excludes: list[tuple[int, NamePattern]]


class MirrorSet(NamedTuple):
    """A resource with mirrors.

    Attributes:
        order: Sorts the resources by preference.
        images: The images that it is for.
        targets: The mirrors, with what sorts them among sets of the same order.
        precedes_original: Whether the mirrors come before the image itself.
    """

    order: tuple[int, int]
    images: ImageFilter
    targets: list[tuple[tuple[int, int], str]]
    precedes_original: bool


class Upstream(NamedTuple):
    """A registry and path with copies of the same images."""

    name: str
    priority: int
    images: ImageFilter
    is_discarded: bool


def import_kube_image_keeper(text: str, rule_set: RuleSet) -> None:
    """Import custom resources of kube-image-keeper 2.

    Raises:
        UnreadableFileError: It has none that changes images.
    """
    rule_set.checks_availability = True
    found = False
    sets: list[MirrorSet] = []
    for resource in iter_objects(text):
        kind = str(resource.get("kind"))
        spec = as_mapping(resource.get("spec"))
        if kind in OTHER_KINDS:
            rule_set.warn(resource.lines["kind"], f"left out: {kind} only watches images")
        if kind not in (*MIRROR_KINDS, *REPLICA_KINDS):
            continue
        found = True
        _warn_of_scope(kind, resource, spec, rule_set)
        if kind in REPLICA_KINDS:
            _import_replicas(spec, rule_set)
            continue
        mirrors = _read_mirrors(spec, MIRROR_KINDS.index(kind), rule_set)
        if mirrors is not None:
            sets.append(mirrors)
    if not found:
        raise ForeignFileError("image set of kube-image-keeper 2")
    _add_mirror_sets(sorted(sets, key=lambda each: each.order), rule_set)


def _warn_of_scope(kind: str, resource: LineMapping, spec: LineMapping, rule_set: RuleSet) -> None:
    """Warn of the Pods that a resource is limited to."""
    namespace = as_mapping(resource.get("metadata")).get("namespace")
    if not kind.startswith("Cluster") and not rule_set.is_only_for(namespace):
        rule_set.warn(
            get_line(namespace, resource.lines["kind"]),
            f"{kind} is for the namespace {namespace or 'that it is in'} only, the rules for all: "
            "put them into a policy of their own",
        )
    instead = "use the selectors of the webhook, or a policy of its own"
    for key in POD_FILTERS:
        if spec.get(key):
            rule_set.warn(spec.lines[key], f"left out: {key}; {instead}")
    images = as_mapping(spec.get("filter"))
    for key in ("include", "exclude"):
        for item in map(as_mapping, as_list(images.get(key))):
            for name in POD_KEYS:
                if item.get(name):
                    rule_set.warn(item.lines[name], f"left out: {key} by {name}; {instead}")


def _read_mirrors(spec: LineMapping, kind: int, rule_set: RuleSet) -> MirrorSet | None:
    mirrors = _get_locations(spec, "mirrors", rule_set)
    targets = [
        ((get_priority(each), position), _join_path(each)) for position, each in enumerate(mirrors)
    ]
    if not targets:
        rule_set.warn(spec.line, "left out: the list of mirrors is empty")
        return None
    _warn_of_settings([spec, *mirrors], rule_set)
    images = _read_filter(spec, rule_set)
    if not images.includes:
        if not images.excludes and not any(spec.get(key) for key in FILTER_KEYS):
            problem = "left out: without a filter, kube-image-keeper mirrors nothing"
            rule_set.warn(spec.line, problem)
        return None
    priority = get_priority(spec)
    return MirrorSet((priority, kind), images, targets, priority < 0)


def _read_filter(spec: LineMapping, rule_set: RuleSet) -> ImageFilter:
    """Return the filter of mirrors: ``filter``, or else the older ``imageFilter``."""
    unified = as_mapping(spec.get("filter"))
    lists: dict[str, list[LineText]] = {}
    if unified.get("include") or unified.get("exclude"):
        for key in ("include", "exclude"):
            items = map(as_mapping, as_list(unified.get(key)))
            lists[key] = [text for item in items for text in as_texts(item.get("image"))]
        everything = not lists["include"]
    else:
        older = as_mapping(spec.get("imageFilter") or spec.get("images"))
        lists = {key: as_texts(older.get(key)) for key in ("include", "exclude")}
        everything = not lists["include"] and bool(lists["exclude"])
    images = _parse_filter(lists, "", rule_set)
    if everything:
        images.includes.extend((spec.line, each) for each in parse_pattern(".*", whole=True))
    return images


def _parse_filter(
    lists: dict[str, list[LineText]], registry: str, rule_set: RuleSet
) -> ImageFilter:
    return ImageFilter(
        parse_patterns(lists["include"], "left out", rule_set, whole=True, registry=registry),
        parse_patterns(lists["exclude"], "not excluded", rule_set, whole=True, registry=registry),
    )


def _add_mirror_sets(sets: list[MirrorSet], rule_set: RuleSet) -> None:
    """Add a rule for each pattern, the most specific first, with the mirrors of all sets."""
    regions: dict[str, tuple[int, NamePattern]] = {}
    for each in sets:
        for line, pattern in (*each.images.excludes, *each.images.includes):
            regions.setdefault(pattern.regex, (line, pattern))

    def count_covered(region: tuple[int, NamePattern]) -> int:
        return sum(region[1].covers(pattern) for _, pattern in regions.values())

    for line, pattern in sorted(regions.values(), key=count_covered):
        matching = [each for each in sets if _is_for(each.images, pattern, line, rule_set)]
        ordered = sorted(
            ((each.order, *target) for each in matching for target in each.targets),
            key=lambda target: target[:2],
        )
        targets = dict.fromkeys(name for *_, name in ordered)
        positions = {each.precedes_original for each in matching}
        if len(positions) > 1:
            rule_set.warn(
                line, "the image itself comes between mirrors there; the rule tries it last"
            )
        original = Original.LAST if True in positions or not positions else Original.FIRST
        rule_set.add_pattern(line, pattern, targets, original)


def _is_for(images: ImageFilter, pattern: NamePattern, line: int, rule_set: RuleSet) -> bool:
    """Return whether a filter is for all images of a pattern; warn if it is for a part of them.

    A part that is a pattern of its own has its own rule.
    """

    def matches(patterns: list[tuple[int, NamePattern]]) -> bool:
        for other_line, other in patterns:
            if other.covers(pattern):
                return True
            if not other.is_disjoint(pattern) and not pattern.covers(other):
                rule_set.warn(
                    line, f"the filter in line {other_line} has some of these images, too"
                )
        return False

    return matches(images.includes) and not matches(images.excludes)


def _import_replicas(spec: LineMapping, rule_set: RuleSet) -> None:
    """Import upstreams that hold the same images.

    There each replaces the others. Rules must not lead back, so one upstream is the original:
    those that are discarded; else the least preferred, if the others precede the image itself;
    else the first.
    """
    values = _get_locations(spec, "upstreams", rule_set)
    _warn_of_settings([spec, *values], rule_set)
    upstreams = [_read_upstream(each, rule_set) for each in values]
    by_preference = sorted(upstreams, key=lambda each: each.priority)
    sources = [each for each in by_preference if each.is_discarded]
    usable = [each for each in by_preference if not each.is_discarded]
    if not usable or len(upstreams) < 2:  # noqa: PLR2004 - the original and a mirror
        rule_set.warn(spec.line, "left out: there are fewer than two upstreams")
        return
    if not any(each.images.includes for each in upstreams):
        rule_set.warn(
            spec.line, "left out: without an imageFilter, kube-image-keeper replaces nothing"
        )
        return
    original = Original.NEVER
    if not sources:
        priorities = {each.priority for each in upstreams}
        is_first = get_priority(spec) < 0 and len(priorities) > 1
        original = Original.LAST if is_first else Original.FIRST
        order = by_preference[::-1] if is_first else upstreams
        sources = [next(each for each in order if each.images.includes)]
    for source in sources:
        mirrors = [each.name for each in usable if each is not source]
        _add_upstream(source, mirrors, original, rule_set)
    others = [each for each in usable if each not in sources and each.images.includes]
    if others and len(usable) > (1 if original is Original.NEVER else 0):
        names = " and ".join(each.name for each in sources)
        rule_set.warn(
            spec.line,
            f"the upstreams replace each other; the rule sends {names} to the others, but not back",
        )


def _read_upstream(value: LineMapping, rule_set: RuleSet) -> Upstream:
    images = as_mapping(value.get("imageFilter"))
    lists = {key: as_texts(images.get(key)) for key in ("include", "exclude")}
    registry = str(value.get("registry") or "")
    found = _parse_filter(lists, registry, rule_set)
    if not lists["include"] and lists["exclude"]:
        everything = parse_pattern("/.*", whole=True, registry=registry)
        found.includes.extend((images.line, each) for each in everything)
    is_discarded = is_true(value.get("discardAlternative"))
    return Upstream(_join_path(value), get_priority(value), found, is_discarded)


def _add_upstream(
    source: Upstream, mirrors: list[str], original: Original, rule_set: RuleSet
) -> None:
    """Add rules for the images of an upstream, whose name is replaced by *mirrors*."""
    registry, _, path = source.name.partition("/")
    for line, pattern in source.images.excludes:
        rule_set.add_pattern(line, pattern)
    for line, pattern in source.images.includes:
        if pattern.prefix and f"{source.name}/".startswith(f"{pattern.prefix}/"):
            rule_set.add_mirrors(line, source.name, mirrors, original, is_final=False)
            continue
        rest = _strip_literal(pattern.repository, path)
        if rest is None or not all(each.startswith(f"{registry}/") for each in pattern.literals):
            rule_set.warn(line, f"left out: the pattern is for images outside of {source.name}")
        elif pattern.prefix:
            below = pattern.prefix[len(source.name) :]
            targets = [f"{mirror}{below}" for mirror in mirrors]
            rule_set.add_mirrors(line, pattern.prefix, targets, original, is_final=False)
        else:
            regex = escape(source.name) + (f"({rest})" if rest else "")
            templates = [f"{mirror}\\1" if rest else mirror for mirror in mirrors]
            rule_set.add_regex(line, regex, templates, original, pattern.literals, is_final=False)


def _strip_literal(regex: str, literal: str) -> str | None:
    """Return what follows *literal* in *regex*; None if something else does."""
    position = 0
    for character in literal:
        match = _REGEX_ATOM.match(regex, position)
        if match is None or match[1] != character:
            return None
        position = match.end()
    return regex[position:] if literal else f"/{regex}"


def _get_locations(spec: LineMapping, key: str, rule_set: RuleSet) -> list[LineMapping]:
    """Return the mirrors or upstreams of a resource that have a registry."""
    locations = []
    for each in as_list(spec.get(key)):
        if as_mapping(each).get("registry"):
            locations.append(each)
        else:
            rule_set.warn(
                get_line(each, spec.lines[key]), f"left out: one of {key} has no registry"
            )
    return locations


def _join_path(location: LineMapping) -> str:
    """Return registry and path of a mirror or upstream."""
    return posixpath.normpath(f"{location['registry']}/{location.get('path') or ''}")


def _warn_of_settings(values: Iterable[LineMapping], rule_set: RuleSet) -> None:
    for each in values:
        secret = each.get("credentialSecret")
        if secret:
            warning = "left out: credentialSecret; give Pods a pull secret"
            rule_set.warn(get_line(secret), warning)
        if is_true(each.get("skipActiveCheck")):
            warning = "left out: skipActiveCheck; availability checks every mirror"
            rule_set.warn(each.lines["skipActiveCheck"], warning)
        if is_true(as_mapping(each.get("cleanup")).get("enabled")):
            rule_set.warn(each.lines["cleanup"], "left out: cleanup of mirrors")

"""Mirrors from registries.conf (`source`_), and from what OpenShift makes it from (`merging`_).

.. _source: https://github.com/containers/image/blob/main/pkg/sysregistriesv2/system_registries_v2.go
.. _merging: https://github.com/openshift/runtime-utils/blob/master/pkg/registries/registries.go
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from webhook.core import Original
from webhook.imports.endpoints import order_mirrors
from webhook.imports.lines import (
    LineText,
    as_list,
    as_mapping,
    as_texts,
    find_toml_line,
    find_toml_lines,
    get_table,
    get_tables,
    iter_objects,
    parse_toml,
)
from webhook.imports.rule_set import ForeignFileError, UnreadableFileError

if TYPE_CHECKING:
    from webhook.imports.lines import LineMapping
    from webhook.imports.rule_set import RuleSet

__all__ = ["import_openshift", "import_registries_conf"]

OTHER_KEYS: Final = {
    "unqualified-search-registries": "short names are always on docker.io here",
    "short-name-mode": "short names are always on docker.io here",
    "aliases": "short names are always on docker.io here",
    "credential-helpers": "give Pods pull secrets",
    "additional-layer-store-auth-helper": "it has no equivalent",
}
# Version 1 of registries.conf.
OLD_TABLES: Final = {
    "search": "short names are always on docker.io here",
    "insecure": "it is a matter of the runtime",
    "block": "rules cannot block images",
}
SCHEMES: Final = ("http://", "https://")

# The key of the list, and the images that its mirrors are for.
OPENSHIFT_KINDS: Final = {
    "ImageDigestMirrorSet": ("imageDigestMirrors", "digest-only"),
    "ImageTagMirrorSet": ("imageTagMirrors", "tag-only"),
    "ImageContentSourcePolicy": ("repositoryDigestMirrors", "digest-only"),
}
EVERY_IMAGE: Final = "all"


def import_registries_conf(text: str, rule_set: RuleSet) -> None:
    """Import a registries.conf, or a drop-in of it: CRI-O, Podman, Buildah, Skopeo.

    Raises:
        UnreadableFileError: It is not TOML, or not a registries.conf.
    """
    content = parse_toml(text)
    if not any(key in content for key in ("registry", "registries", *OTHER_KEYS)):
        raise ForeignFileError("[[registry]]")
    _warn_of_other_keys(content, text, rule_set)
    registries = get_tables(content, "registry")
    if not registries:
        rule_set.warn(0, "nothing imported: the file has no [[registry]]")
    lines = find_toml_lines(text, "[[registry]]")
    seen: dict[str, int] = {}
    for number, registry in enumerate(registries):
        line = lines[number] if number < len(lines) else 0
        location = _read_location(registry, "location", line)
        prefix = _read_location(registry, "prefix", line) or location
        if not prefix:
            rule_set.warn(line, "left out: the [[registry]] has no location")
            continue
        if prefix in seen:
            problem = f"left out: line {seen[prefix]} already has a [[registry]] for {prefix}"
            rule_set.warn(line, problem)
            continue
        seen[prefix] = line
        _import_registry(registry, prefix, location, line, rule_set)


def _warn_of_other_keys(content: dict[str, Any], text: str, rule_set: RuleSet) -> None:
    """Warn of settings that are not about mirrors, also those of version 1.

    Raises:
        UnreadableFileError: It mixes the versions.
    """
    old = get_table(content, "registries")
    if old and content.get("registry"):
        raise UnreadableFileError("the file mixes [[registry]] with [registries.…] of version 1")
    for key, problem in OTHER_KEYS.items():
        if key in content:
            line = find_toml_line(text, key) or find_toml_line(text, f"[{key}]")
            rule_set.warn(line, f"left out: {key}; {problem}")
    for key, problem in OLD_TABLES.items():
        if old.get(key):
            line = find_toml_line(text, f"[registries.{key}]")
            rule_set.warn(line, f"left out: registries.{key}; {problem}")


def _read_location(value: dict[str, Any], key: str, line: int) -> str:
    location = str(value.get(key) or "").rstrip("/")
    if location.startswith(SCHEMES):
        raise UnreadableFileError(f"line {line}: {key} has a scheme, which no runtime accepts")
    return location


def _import_registry(
    registry: dict[str, Any], prefix: str, location: str, line: int, rule_set: RuleSet
) -> None:
    """Import one registry: its location is asked after its mirrors, unless it is blocked."""
    targets = []
    limits: dict[str, set[str]] = {}
    for mirror in get_tables(registry, "mirror"):
        target = _read_location(mirror, "location", line)
        if not target:
            rule_set.warn(line, f"left out: a mirror of {prefix} has no location")
            continue
        targets.append(target)
        limits.setdefault(target, set()).add(str(mirror.get("pull-from-mirror") or EVERY_IMAGE))
        if mirror.get("insecure"):
            problem = f"the mirror {target} of {prefix} is insecure: configure that in the runtime"
            rule_set.warn(line, problem)
    _warn_of_limits(line, prefix, limits, rule_set)
    if registry.get("mirror-by-digest-only") and targets:
        problem = f"left out: mirror-by-digest-only of {prefix}; the rule is for every image"
        rule_set.warn(line, problem)
    if registry.get("insecure"):
        rule_set.warn(line, f"{prefix} is insecure: configure that in the runtime")
    is_blocked = bool(registry.get("blocked"))
    if is_blocked and not targets:
        rule_set.warn(line, f"left out: {prefix} is blocked, but rules cannot block images")
        return
    moves = not is_blocked and location not in ("", prefix)
    if moves:
        targets.append(location)
    _add_source(line, prefix, targets, rule_set, moves=moves, is_blocked=is_blocked)


def _warn_of_limits(line: int, source: str, limits: dict[str, set[str]], rule_set: RuleSet) -> None:
    """Warn of mirrors for digests or for tags only, unless they are for both."""
    for target, limit in limits.items():
        if EVERY_IMAGE not in limit and len(limit) == 1:
            only = next(iter(limit))
            problem = f"the mirror {target} of {source} is {only}; the rule is for every image"
            rule_set.warn(line, problem)


def _add_source(
    line: int,
    source: str,
    targets: list[str],
    rule_set: RuleSet,
    *,
    moves: bool = False,
    is_blocked: bool = False,
) -> None:
    """Add the rule for a source; without mirrors, that of a shorter source is not for it."""
    ends_at_original = not (moves or is_blocked)
    mirrors, original = order_mirrors(
        source, targets, line, rule_set, ends_at_original=ends_at_original
    )
    if mirrors:
        rule_set.add_mirrors(line, source, mirrors, Original.NEVER if is_blocked else original)
    else:
        rule_set.add_keep(line, source)


@dataclass
class _Source:
    """What the objects of a cluster say together about a source."""

    line: int
    mirrors: list[str] = field(default_factory=list)
    limits: dict[str, set[str]] = field(default_factory=dict)
    is_blocked: bool = False


def import_openshift(text: str, rule_set: RuleSet) -> None:
    """Import ImageDigestMirrorSet, ImageTagMirrorSet and ImageContentSourcePolicy of OpenShift.

    The mirrors of the same source are merged.

    Raises:
        UnreadableFileError: It has none of them.
    """
    found = False
    sources: dict[str, _Source] = {}
    for resource in iter_objects(text):
        key, limit = OPENSHIFT_KINDS.get(str(resource.get("kind")), ("", ""))
        if not key:
            continue
        found = True
        values = as_list(as_mapping(resource.get("spec")).get(key))
        if not values:
            rule_set.warn(resource.lines["kind"], f"left out: the {resource['kind']} has no {key}")
        for value in values:
            _read_mirror_set(as_mapping(value), limit, sources, rule_set)
    if not found:
        raise ForeignFileError(" or ".join(OPENSHIFT_KINDS))
    for name, source in sources.items():
        _warn_of_limits(source.line, name, source.limits, rule_set)
        _add_source(source.line, name, source.mirrors, rule_set, is_blocked=source.is_blocked)


def _read_mirror_set(
    value: LineMapping, limit: str, sources: dict[str, _Source], rule_set: RuleSet
) -> None:
    """Add the mirrors of a source to those that are known."""
    name = value.get("source")
    if not isinstance(name, LineText):
        rule_set.warn(value.line, "left out: the mirrors have no source")
        return
    mirrors = list(as_texts(value.get("mirrors")))
    if not any(mirror != name for mirror in mirrors):
        rule_set.warn(name.line, f"left out: {name} has no mirrors, so it is pulled as usual")
        return
    source = sources.setdefault(str(name), _Source(name.line))
    source.mirrors = _merge(source.mirrors, [str(mirror) for mirror in mirrors])
    for mirror in mirrors:
        if mirror != name:
            source.limits.setdefault(str(mirror), set()).add(limit)
    if value.get("mirrorSourcePolicy") == "NeverContactSource":
        source.is_blocked = True


def _merge(first: list[str], second: list[str]) -> list[str]:
    """Return two lists as one that keeps the order of both, as far as they agree."""
    merged = list(first)
    for index, each in enumerate(second):
        if each not in merged:
            following = [merged.index(other) for other in second[index:] if other in merged]
            merged.insert(min(following, default=len(merged)), each)
    return merged

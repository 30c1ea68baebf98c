"""Rules from policies of Kyverno that replace the registry of images.

They are like the samples `replace-image-registry`_, `prepend-image-registry`_ and
`replace-image-registry-with-harbor`_.

.. _replace-image-registry: https://github.com/kyverno/policies/tree/main/other/replace-image-registry
.. _prepend-image-registry: https://github.com/kyverno/policies/tree/main/other/prepend-image-registry
.. _replace-image-registry-with-harbor: https://github.com/kyverno/policies/tree/main/other/replace-image-registry-with-harbor
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from webhook.core import Original
from webhook.core.reference import DOCKER_HUB, LEGACY_DOCKER_HUB, looks_like_registry
from webhook.imports.lines import (
    LineList,
    LineMapping,
    LineText,
    as_list,
    as_mapping,
    as_texts,
    iter_objects,
)
from webhook.imports.patterns import UnsupportedPatternError, escape
from webhook.imports.replacements import parse_replacement
from webhook.imports.rule_set import ForeignFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.imports.lines import LineValue
    from webhook.imports.rule_set import RuleSet

__all__ = ["import_kyverno"]

NAMESPACED: Final = "Policy"
CALL: Final = re.compile(
    r"regex_replace_all(?P<literal>_literal)?\(\s*'(?P<pattern>[^']*)'\s*,\s*[^,]+,\s*"
    r"'(?P<target>[^']*)'\s*\)"
)
# The sample's pattern for an image with or without a registry, and what it takes as a registry.
ANY_REGISTRY: Final = re.compile(r"\^\((localhost/\|(\(.*\)[^/]*)/)\)\?\(\.\*\)\$")
LAST_GROUP: Final = re.compile(r"(.+?)/\$\{?2\}?")
# An image made of a registry, and the path or repository and the tag or digest of the original.
REBUILT: Final = re.compile(
    r"\s*(?P<target>[^\s{}]+?)/\{\{[^{}]*(?:\{\{[^{}]*\}\}[^{}]*)?\b(?P<part>path|repository)\s*\}\}"
    r"[:@]\{\{.*\b(?:tag|digest|identifier)\b.*\}\}\s*"
)
REGISTRY_KEY: Final = re.compile(r"\{\{.*\bregistry\s*\}\}")
HARMLESS_KEY: Final = re.compile(r"request\.operation|length\(@\)")
# A key of a patch that is a condition, and a value that is one for every container.
ANCHOR: Final = re.compile(r"<?\(.+\)")
HARMLESS_ANCHOR: Final = re.compile(r"\??\*|\{\{\s*element\.\w+\s*\}\}")
LIMITS: Final = (
    "namespaces",
    "namespaceSelector",
    "selector",
    "names",
    "name",
    "annotations",
    "subjects",
    "roles",
    "clusterRoles",
)


def import_kyverno(text: str, rule_set: RuleSet) -> None:
    """Import policies of Kyverno that replace the registry of images.

    Such a policy repeats the same replacement for each list of containers; it becomes one rule.

    Raises:
        UnreadableFileError: It has no such policy.
    """
    found = False
    for policy in iter_objects(text):
        rules = as_list(as_mapping(policy.get("spec")).get("rules"))
        replaces_images = [_import_rule(as_mapping(each), rule_set) for each in rules]
        if not any(replaces_images):
            continue
        found = True
        namespace = as_mapping(policy.get("metadata")).get("namespace")
        if policy.get("kind") == NAMESPACED and not rule_set.is_only_for(namespace):
            rule_set.warn(
                policy.lines["kind"],
                "the Policy is for its namespace only, the rules for all: put them into a policy "
                "of their own",
            )
    if not found:
        raise ForeignFileError(
            "policy of Kyverno that replaces the registry of images by "
            "regex_replace_all, or as the samples do"
        )


def _import_rule(rule: LineMapping, rule_set: RuleSet) -> bool:
    """Import a rule; return whether it replaces images."""
    found = False
    mutate = as_mapping(rule.get("mutate"))
    loops = [as_mapping(each) for each in as_list(mutate.get("foreach"))]
    for loop in [mutate, *loops]:
        patches = [
            value
            for key, value in loop.items()
            if key not in ("foreach", "context", "preconditions")
        ]
        for text in (each for patch in patches for each in _iter_texts(patch)):
            calls = list(CALL.finditer(text))
            rebuilt = REBUILT.fullmatch(text)
            if not calls and rebuilt is None:
                continue
            found = True
            conditions = _read_conditions([rule, loop], rule_set)
            _warn_of_anchors(patches, rule_set)
            for call in calls:
                _import_call(text.line, call, conditions, rule_set)
            if rebuilt is not None:
                host = "" if rebuilt["part"] == "repository" else "[^/]+"
                _add_rebuilt(text.line, rebuilt["target"], conditions, host, rule_set)
    if found:
        _warn_of_limits(rule, rule_set)
    return found


def _read_conditions(values: list[LineMapping], rule_set: RuleSet) -> list[str] | None:
    """Return the registries that preconditions require; None for any."""
    registries: list[str] | None = None
    for value in values:
        conditions = value.get("preconditions")
        blocks = as_mapping(conditions)
        items = [*as_list(blocks.get("any")), *as_list(blocks.get("all"))]
        if isinstance(conditions, LineList):
            items = list(conditions)
        for item in map(as_mapping, items):
            key = str(item.get("key") or "")
            line = item.lines.get("key", item.line)
            if HARMLESS_KEY.search(key):
                continue
            operator = str(item.get("operator") or "")
            if REGISTRY_KEY.fullmatch(key.strip()) and operator in ("Equals", "In", "AnyIn"):
                names = [
                    DOCKER_HUB if name == LEGACY_DOCKER_HUB else str(name)
                    for name in as_texts(item.get("value"))
                ]
                registries = [*(registries or []), *names]
            else:
                rule_set.warn(line, f"left out: the condition {key} {operator}")
    return registries


def _warn_of_anchors(patches: list[LineValue], rule_set: RuleSet) -> None:
    """Warn of keys such as ``(image)``, which limit a patch to some containers."""
    for mapping in (each for patch in patches for each in _iter_mappings(patch)):
        for key, value in mapping.items():
            if ANCHOR.fullmatch(key) and not HARMLESS_ANCHOR.fullmatch(str(value)):
                rule_set.warn(mapping.lines[key], f"left out: the condition {key} {value}")


def _warn_of_limits(rule: LineMapping, rule_set: RuleSet) -> None:
    """Warn of the Pods that a rule is limited to."""
    if rule.get("exclude"):
        rule_set.warn(rule.lines["exclude"], "left out: exclude; use the selectors of the webhook")
    for value in _iter_mappings(rule.get("match")):
        for key in LIMITS:
            if value.get(key):
                problem = f"left out: {key}; use the selectors of the webhook"
                rule_set.warn(value.lines[key], problem)


def _import_call(
    line: int, call: re.Match[str], registries: list[str] | None, rule_set: RuleSet
) -> None:
    pattern, target = call["pattern"].replace("\\\\", "\\"), call["target"]
    last, any_registry = LAST_GROUP.fullmatch(target), ANY_REGISTRY.fullmatch(pattern)
    if last and any_registry and not call["literal"]:
        _add_rebuilt(line, last[1], registries, f"(?:localhost|{any_registry[2]})", rule_set)
        return
    if call["literal"]:
        target = target.replace("$", "$$")
    try:
        replacement = parse_replacement(pattern, target)
    except UnsupportedPatternError as error:
        rule_set.warn(line, f"left out: {pattern} → {target}: {error}")
        return
    registry = replacement.literals[0].partition("/")[0]
    if registries is not None and registry not in registries:
        rule_set.warn(line, f"left out: the condition that the registry is {registries}")
    if registry == DOCKER_HUB or not looks_like_registry(registry):
        problem = (
            f"{pattern} is compared with the image as written there, so nginx has no {DOCKER_HUB}"
        )
        rule_set.warn(line, problem)
    for note in replacement.notes:
        rule_set.warn(line, f"{pattern}: {note}")
    rule_set.add_replacement(line, replacement, Original.NEVER)


def _add_rebuilt(
    line: int, target: str, registries: list[str] | None, any_registry: str, rule_set: RuleSet
) -> None:
    """Add a rule that replaces the registry, of every image or of some registries.

    Args:
        line: The line.
        target: What takes the place of the registry.
        registries: The registries; None for all.
        any_registry: What Kyverno takes as the registry of an image as written; empty if it
            knows the normal form, in which ``nginx`` is ``library/nginx``.
        rule_set: Takes the rule.
    """
    for registry in registries or []:
        rule_set.add_mirrors(line, registry, [target], Original.NEVER)
    if registries is None and not any_registry:
        rule_set.add_default(line, [f"{target}/\\1"], Original.NEVER)
    if not any_registry or (registries is not None and DOCKER_HUB not in registries):
        return
    if registries is None:
        # An image with another registry, such as one with a port, goes behind the target whole.
        regex = f"{escape(DOCKER_HUB)}/library/(.+)|{any_registry}/(.+)|(.+)"
        template = f"{target}/\\1" + "".join(f"\\{each}" for each in (2, 3))
        rule_set.add_default(line, [template], Original.NEVER, regex)
    else:
        rule_set.add_mirrors(line, f"{DOCKER_HUB}/library", [target], Original.NEVER)
    rule_set.warn(
        line,
        f"{DOCKER_HUB}/library/nginx becomes {target}/nginx here, as nginx does; in Kyverno it "
        f"becomes {target}/library/nginx",
    )


def _iter_texts(value: LineValue) -> Iterator[LineText]:
    """Yield every text in *value*."""
    if isinstance(value, LineText):
        yield value
    elif isinstance(value, LineList | LineMapping):
        for each in value.values() if isinstance(value, LineMapping) else value:
            yield from _iter_texts(each)


def _iter_mappings(value: LineValue) -> Iterator[LineMapping]:
    """Yield every mapping in *value*."""
    if isinstance(value, LineMapping):
        yield value
    if isinstance(value, LineList | LineMapping):
        for each in value.values() if isinstance(value, LineMapping) else value:
            yield from _iter_mappings(each)

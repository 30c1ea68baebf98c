"""
Reading one rule.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import yaml

from webhook.core import InvalidRuleError, Mirror, Original, Rule, parse_match
from webhook.core.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.config.place import Place
    from webhook.config.problems import Spot

__all__ = ["NOT_YET", "ReadRule", "read_rule"]

Value = TypeVar("Value")

RULE_KEYS: Final = ("match", "regex", "mirrors", "keep", "original")
MIRROR_KEYS: Final = ("target", "flatten", "pullSecrets")
NOT_YET: Final = "it is not yet supported: remove it"
# How the core names the part of a rule that is wrong.
FIELD: Final = re.compile(r"(\w+)(?:\[(\d+)\])?")


class ReadRule(NamedTuple):
    """
    A rule as it was read from a file.

    Attributes:
        name: What it matches, in the form of `Rule.name`; empty if that is wrong.
        rule: The rule; None if anything is wrong with it.
        spot: Where it stands.
    """

    name: str
    rule: Rule | None
    spot: Spot


def read_rule(place: Place) -> ReadRule:
    """
    Return the rule at *place*.
    """
    before = place.findings.count
    entries = place.entries(RULE_KEYS)
    if place.findings.count == before:
        if "match" not in entries and "regex" not in entries:
            place.refuse("the rule has neither match nor regex: say what it is for")
        if "mirrors" not in entries and "keep" not in entries:
            place.refuse("the rule has neither mirrors nor keep: true: write one of them")
    match = entries["match"].text() if "match" in entries else None
    regex = entries["regex"].text() if "regex" in entries else None
    mirrors = read_mirrors(entries["mirrors"]) if "mirrors" in entries else []
    keep = entries["keep"].boolean() if "keep" in entries else False
    original = entries["original"].choice(Original) if "original" in entries else None
    name = f"/{regex}/" if regex is not None else ""
    if match is not None:
        name = str(accepted(entries["match"], parse_match, match) or "")
    if regex is not None and place.findings.count != before:
        accepted(entries["regex"], Pattern, regex)
    rule = None
    if place.findings.count == before:
        try:
            rule = Rule(
                match,
                mirrors,
                regex=regex,
                keep=bool(keep),
                original=original or Original.LAST,
            )
        except InvalidRuleError as error:
            at_fault(place, entries, error.field).refuse(error.problem)
    return ReadRule(name, rule, place.spot)


def read_mirrors(place: Place) -> list[Mirror]:
    """
    Return the mirrors of a rule that are right.
    """
    items = place.items()
    if isinstance(place.node, yaml.SequenceNode) and not items:
        place.refuse("the list is empty: name a mirror, or write keep: true in its place")
    mirrors = [read_mirror(item) for item in items]
    return [mirror for mirror in mirrors if mirror is not None]


def read_mirror(place: Place) -> Mirror | None:
    """
    Return one mirror, which is its target or a mapping.
    """
    if not isinstance(place.node, yaml.MappingNode):
        target = place.text()
        return None if target is None else accepted(place, Mirror, target)
    before = place.findings.count
    entries = place.entries(MIRROR_KEYS)
    if "pullSecrets" in entries:
        entries["pullSecrets"].refuse(NOT_YET)
    flatten = bool(entries["flatten"].boolean()) if "flatten" in entries else False
    if "target" not in entries:
        if place.findings.count == before:
            place.refuse("the mirror has no target: write target: and host[:port][/path]")
        return None
    target = entries["target"].text()
    if target is None:
        return None
    return accepted(entries["target"], lambda text: Mirror(text, flatten=flatten), target)


def accepted(place: Place, make: Callable[[str], Value], text: str) -> Value | None:
    """
    Return what *make* makes of *text*; what it refuses is noted, and gives None.
    """
    try:
        return make(text)
    except InvalidRuleError as error:
        place.refuse(error.problem)
        return None


def at_fault(place: Place, entries: dict[str, Place], field: str) -> Place:
    """
    Return the part of the rule at *place* that the core calls *field*.
    """
    found = FIELD.fullmatch(field)
    if found is None or found[1] not in entries:
        return place
    part = entries[found[1]]
    return part.items()[int(found[2])] if found[2] else part

"""Reading one rule."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import yaml

from webhook.core import InvalidRuleError, Mirror, Original, Rule, parse_match
from webhook.core.errors import quoted
from webhook.core.regex import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.config.files import Files
    from webhook.config.place import Place
    from webhook.config.problems import Spot

__all__ = ["ReadRule", "read_rule"]

Value = TypeVar("Value")

RULE_KEYS: Final = (
    "match",
    "regex",
    "mirrors",
    "keep",
    "original",
    "verify",
    "trusted",
)
MIRROR_KEYS: Final = ("target", "flatten", "pullSecrets", "ca", "allowlist")
TRUSTED_KEYS: Final = ("target", "flatten", "ca")
# RFC 1123 subdomain, as the API server has it for the names of Secrets.
SECRET_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
# How the core names the part of a rule that is wrong.
FIELD: Final = re.compile(r"(\w+)(?:\[(\d+)\])?")


class Verify(StrEnum):
    """What an image of a mirror has to have in common with the original."""

    DIGEST = "digest"


class ReadRule(NamedTuple):
    """A rule as it was read from a file.

    Attributes:
        name: What it matches, in the form of `Rule.name`; empty if that is wrong.
        rule: The rule; None if anything is wrong with it.
        spot: Where it stands.
    """

    name: str
    rule: Rule | None
    spot: Spot


def read_rule(place: Place, files: Files) -> ReadRule:
    """Return the rule at *place*.

    Args:
        place: Where it stands.
        files: Takes the files that it names.
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
    mirrors = read_mirrors(entries["mirrors"], files) if "mirrors" in entries else []
    keep = entries["keep"].boolean() if "keep" in entries else False
    original = entries["original"].choice(Original) if "original" in entries else None
    verify = entries["verify"].choice(Verify) if "verify" in entries else None
    trusted = read_mirror(entries["trusted"], files, TRUSTED_KEYS) if "trusted" in entries else None
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
                verify=verify is not None,
                trusted=trusted,
            )
        except InvalidRuleError as error:
            at_fault(place, entries, error.field).refuse(error.problem)
    return ReadRule(name, rule, place.spot)


def read_mirrors(place: Place, files: Files) -> list[Mirror]:
    """Return the mirrors of a rule that are right."""
    items = place.items()
    if isinstance(place.node, yaml.SequenceNode) and not items:
        place.refuse("the list is empty: name a mirror, or write keep: true in its place")
    mirrors = [read_mirror(item, files, MIRROR_KEYS) for item in items]
    return [mirror for mirror in mirrors if mirror is not None]


def read_mirror(place: Place, files: Files, keys: tuple[str, ...]) -> Mirror | None:
    """Return one mirror, which is its target or a mapping.

    Args:
        place: Where it stands.
        files: Takes the files that it names.
        keys: The keys that the mapping may have.
    """
    if not isinstance(place.node, yaml.MappingNode):
        target = place.text()
        return None if target is None else accepted(place, Mirror, target)
    before = place.findings.count
    entries = place.entries(keys)
    flatten = bool(entries["flatten"].boolean()) if "flatten" in entries else False
    secrets = read_secrets(entries["pullSecrets"]) if "pullSecrets" in entries else ()
    allowlist = files.allowlist(entries["allowlist"]) if "allowlist" in entries else None
    if "target" not in entries:
        if place.findings.count == before:
            place.refuse("the mirror has no target: write target: and host[:port][/path]")
        return None
    target = entries["target"].text()
    if target is None:
        return None
    make = partial(Mirror, flatten=flatten, pull_secrets=secrets, allowlist=allowlist)
    mirror = accepted(entries["target"], make, target)
    if mirror is not None and "ca" in entries:
        read_authority(entries["ca"], mirror, files)
    return mirror


def read_secrets(place: Place) -> tuple[str, ...]:
    """Return names of Secrets, each once."""
    names: dict[str, None] = {}
    for item in place.items():
        name = item.text()
        if name is None:
            continue
        if SECRET_NAME.fullmatch(name):
            names[name] = None
        else:
            item.refuse(
                f"{quoted(name)} cannot name a Secret: use lower-case letters, digits, "
                "dashes and dots"
            )
    return tuple(names)


def read_authority(place: Place, mirror: Mirror, files: Files) -> None:
    """Note the CA file of a mirror."""
    if "\\" in mirror.registry:
        place.refuse("a CA belongs to one host, and this target takes it from the regex")
    else:
        files.authority(place, mirror.registry)


def accepted(place: Place, make: Callable[[str], Value], text: str) -> Value | None:
    """Return what *make* makes of *text*; what it refuses is noted, and gives None."""
    try:
        return make(text)
    except InvalidRuleError as error:
        place.refuse(error.problem)
        return None


def at_fault(place: Place, entries: dict[str, Place], field: str) -> Place:
    """Return the part of the rule at *place* that the core calls *field*."""
    found = FIELD.fullmatch(field)
    if found is None or found[1] not in entries:
        return place
    part = entries[found[1]]
    return part.items()[int(found[2])] if found[2] else part

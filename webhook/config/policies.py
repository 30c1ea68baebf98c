"""Reading the policies of a rules file."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from webhook.config.assembly import assemble, distinct
from webhook.config.availability import read_availability
from webhook.config.loops import read_loops
from webhook.config.oddities import warn_of_profiles, warn_of_rules
from webhook.config.place import likely
from webhook.config.rules import read_rule
from webhook.config.values import DEFAULT_LOOPS, Mode, PolicySettings
from webhook.core.errors import quoted
from webhook.profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from webhook.config.assembly import OwnRule
    from webhook.config.files import Files
    from webhook.config.place import Place
    from webhook.config.problems import Findings, Spot

__all__ = ["DEFAULT", "known_profiles", "read_policies"]

DEFAULT: Final = "default"

KEYS: Final = ("profiles", "rules", "availability", "loops", "record", "mode", "policies")

# A policy is served at a path of its name (RFC 1123 label).
POLICY_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def read_policies(root: Place, files: Files) -> Mapping[str, PolicySettings]:
    """Return all policies of a file, ``default`` first.

    Args:
        root: The whole file.
        files: Takes the files that it names.
    """
    entries = root.entries(KEYS)
    settings = {DEFAULT: read_policy(DEFAULT, root, entries, files)}
    policies = entries["policies"].entries() if "policies" in entries else {}
    for name, place in policies.items():
        if name == DEFAULT:
            place.refuse(f"{DEFAULT} is the top level of the file: write its keys there")
        elif not POLICY_NAME.fullmatch(name):
            place.refuse(
                f"{quoted(name)} cannot name a policy, which is a part of a URL: use up to "
                "63 lower-case letters, digits and dashes between them"
            )
        entries = place.entries(KEYS)
        if "policies" in entries:
            entries["policies"].refuse("policies stand at the top level of the file only")
        settings[name] = read_policy(name, place, entries, files)
    for name, policy in settings.items():
        # One that is only there for the others to stand below it is no oddity.
        if not policy.mirrors.rules and (name != DEFAULT or len(settings) == 1):
            where = root if name == DEFAULT else policies[name]
            root.findings.warn(where.spot, f"policy {name} has no rules: it changes nothing")
    return MappingProxyType(settings)


def read_policy(name: str, place: Place, entries: dict[str, Place], files: Files) -> PolicySettings:
    """Return one policy, with what of it is right.

    Args:
        name: Its name.
        place: Where it stands.
        entries: Its values by their keys.
        files: Takes the files that it names.
    """
    findings = place.findings
    profiles = read_profiles(entries["profiles"]) if "profiles" in entries else []
    items = entries["rules"].items() if "rules" in entries else []
    own = distinct((read_rule(item, files) for item in items), findings)
    availability = (
        read_availability(entries["availability"], files) if "availability" in entries else None
    )
    if availability is None:
        refuse_verification(own, findings)
    loops = read_loops(entries["loops"]) if "loops" in entries else DEFAULT_LOOPS
    record = entries["record"].boolean() if "record" in entries else True
    mode = entries["mode"].choice(Mode) if "mode" in entries else Mode.REWRITE
    names = tuple(profile for profile, _ in profiles)
    mirrors = assemble(own, names, place.spot, findings)
    warn_of_profiles(profiles, findings)
    warn_of_rules(own, mirrors, findings)
    return PolicySettings(
        name, mirrors, mode or Mode.REWRITE, bool(record), names, availability, loops
    )


def refuse_verification(own: Iterable[OwnRule], findings: Findings) -> None:
    """Note the rules that want digests compared where nothing is asked for any."""
    for rule, spot in own:
        if rule.verify:
            findings.refuse(
                spot,
                "verify: digest compares nothing as long as mirrors are not asked: write "
                "availability: {mode: check}",
            )


def read_profiles(place: Place) -> list[tuple[str, Spot]]:
    """Return the names of the known profiles in a list, with their places."""
    texts = ((item.text(), item.spot) for item in place.items())
    named = [(name, spot) for name, spot in texts if name is not None]
    return known_profiles(named, place.findings)


def known_profiles(named: Iterable[tuple[str, Spot]], findings: Findings) -> list[tuple[str, Spot]]:
    """Return the profiles that exist, each once; what is wrong with others is noted."""
    known: dict[str, Spot] = {}
    for name, spot in named:
        if name in known:
            findings.refuse(spot, f"profile {name} is named already: remove one of them")
        elif name in PROFILES:
            known[name] = spot
        else:
            advice = likely(name, tuple(PROFILES)) or f"there are {', '.join(PROFILES)}"
            findings.refuse(spot, f"there is no profile {quoted(name)}; {advice}")
    return list(known.items())

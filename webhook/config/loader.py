"""Load policies from a rules file, or from names of profiles."""

from __future__ import annotations

import re
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from webhook.config.delegation import read_delegation
from webhook.config.errors import (
    ConfigurationError,
    Diagnostics,
    Problem,
    SourceLocation,
)
from webhook.config.lint import lint_policies, lint_profiles, lint_rules
from webhook.config.models import (
    DEFAULT_LOOP_LIMITS,
    DEFAULT_POLICY,
    Configuration,
    Mode,
    PolicySettings,
)
from webhook.config.rules import NamedFiles, compute_digest, read_file, read_rule_list
from webhook.config.settings import read_availability, read_loops
from webhook.config.yaml_values import compose_yaml, suggest
from webhook.core import InvalidRuleError, MirrorMap, RuleCycleError
from webhook.core.errors import CHECK_PATH, quote
from webhook.profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from webhook.config.rules import LocatedRule
    from webhook.config.yaml_values import YAMLValue

__all__ = [
    "load_profiles",
    "load_rules",
    "parse_rules",
    "read_profiles",
    "read_rules_file",
]

POLICY_KEYS: Final = ("profiles", "rules", "availability", "loops", "record", "mode")
KEYS: Final = (*POLICY_KEYS, "policies", "delegation")
# A policy is served at a path of its name (RFC 1123 label).
POLICY_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
MAX_CYCLES: Final = 10  # finding each takes a search of its own, and few files have more than one


def load_rules(path: Path) -> Configuration:
    """Read a rules file.

    Raises:
        ConfigurationError: The file cannot be read or has problems.
    """
    return parse_rules(read_rules_file(path), str(path))


def read_rules_file(path: Path, *, read_once: bool = False) -> bytes:
    """Return the content of a rules file, or enough of it to see that it is too large.

    Args:
        path: The file.
        read_once: Whether it may also be a pipe, as the shell's ``<(...)`` is.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    try:
        return path.read_bytes() if read_once and path.is_fifo() else read_file(path)
    except OSError as error:
        problem = f"the file cannot be read: {error.strerror or error}; {CHECK_PATH}"
        raise ConfigurationError([Problem(str(path), message=problem)]) from None


def parse_rules(content: bytes | str, origin: str) -> Configuration:
    """Parse the content of a rules file.

    Args:
        content: The content; bytes are UTF-8.
        origin: The path of the file, for messages and for the files that it names.

    Raises:
        ConfigurationError: The file has problems.
    """
    if isinstance(content, str):
        content = content.encode(errors="surrogatepass")
    diagnostics = Diagnostics()
    files = NamedFiles(origin)
    root = compose_yaml(content, origin, diagnostics)
    entries = root.read_mapping(KEYS)
    policies = _read_policies(root, entries, files)
    delegation = read_delegation(entries["delegation"]) if "delegation" in entries else None
    warnings = diagnostics.finish(files.paths)
    digest = compute_digest(content, files.paths)
    return Configuration(policies, warnings, digest, files.paths, delegation)


def load_profiles(names: Iterable[str]) -> Configuration:
    """Return a configuration of built-in profiles only.

    Args:
        names: Names of profiles, in order of precedence.

    Raises:
        ConfigurationError: A profile does not exist or is named twice.
    """
    diagnostics = Diagnostics()
    nowhere = SourceLocation()
    profiles = _select_profiles(((name, nowhere) for name in names), diagnostics)
    mirrors = _build_map((), profiles, nowhere, diagnostics)
    lint_profiles(profiles, diagnostics)
    policy = PolicySettings(DEFAULT_POLICY, mirrors, profiles=tuple(profiles))
    policies = MappingProxyType({DEFAULT_POLICY: policy})
    digest = sha256("\n".join(profiles).encode()).hexdigest()
    return Configuration(policies, diagnostics.finish(), digest)


def _read_policies(
    root: YAMLValue, entries: dict[str, YAMLValue], files: NamedFiles
) -> Mapping[str, PolicySettings]:
    """Return all policies of a file, ``default`` first."""
    policies = {DEFAULT_POLICY: _read_policy(DEFAULT_POLICY, root, entries, files)}
    others = entries["policies"].read_mapping() if "policies" in entries else {}
    for name, value in others.items():
        if name == DEFAULT_POLICY:
            value.add_problem(f"{name} is the top level of the file: move its keys there")
        elif not POLICY_NAME.fullmatch(name):
            value.add_problem(
                f"{quote(name)} is not a valid name of a policy, which is part of a URL: use at "
                "most 63 lower-case letters and digits, with dashes between them"
            )
        entries = value.read_mapping(KEYS)
        for key, verb in (("policies", "are"), ("delegation", "is")):
            if key in entries:
                problem = f"{key} {verb} allowed only at the top level of the file"
                entries[key].add_problem(problem)
        policies[name] = _read_policy(name, value, entries, files)
    locations = {name: value.location for name, value in others.items()}
    lint_policies(policies.values(), {DEFAULT_POLICY: root.location, **locations}, root.diagnostics)
    return MappingProxyType(policies)


def _read_policy(
    name: str, value: YAMLValue, entries: dict[str, YAMLValue], files: NamedFiles
) -> PolicySettings:
    """Return one policy, without what is wrong in it."""
    diagnostics = value.diagnostics
    profiles = read_profiles(entries["profiles"]) if "profiles" in entries else {}
    rules = read_rule_list(entries["rules"].read_list() if "rules" in entries else [], files)
    availability = (
        read_availability(entries["availability"], files) if "availability" in entries else None
    )
    for rule, location in rules:
        if rule.verify and availability is None:
            diagnostics.add_problem(
                location,
                "verify: digest needs availability checks: add availability: {mode: check}",
            )
    loops = read_loops(entries["loops"]) if "loops" in entries else DEFAULT_LOOP_LIMITS
    record = entries["record"].read_boolean() if "record" in entries else True
    mode = entries["mode"].read_choice(Mode) if "mode" in entries else None
    mirrors = _build_map(rules, profiles, value.location, diagnostics)
    lint_profiles(profiles, diagnostics)
    lint_rules(rules, mirrors, diagnostics)
    return PolicySettings(
        name, mirrors, mode or Mode.REWRITE, bool(record), tuple(profiles), availability, loops
    )


def read_profiles(value: YAMLValue) -> dict[str, SourceLocation]:
    """Return where each known profile of the list ``profiles`` is named."""
    texts = ((item.read_text(), item.location) for item in value.read_list())
    named = [(name, location) for name, location in texts if name is not None]
    return _select_profiles(named, value.diagnostics)


def _select_profiles(
    named: Iterable[tuple[str, SourceLocation]], diagnostics: Diagnostics
) -> dict[str, SourceLocation]:
    """Return the profiles that exist; the others are problems."""
    known: dict[str, SourceLocation] = {}
    for name, location in named:
        if name in known:
            problem = f"duplicate profile {name}: remove one of them"
            diagnostics.add_problem(location, problem)
        elif name in PROFILES:
            known[name] = location
        else:
            advice = (
                suggest(name, tuple(PROFILES))
                or f"known profiles are {', '.join(sorted(PROFILES))}"
            )
            diagnostics.add_problem(location, f"unknown profile {quote(name)}; {advice}")
    return known


def _build_map(
    located: Iterable[LocatedRule],
    profiles: Iterable[str],
    location: SourceLocation,
    diagnostics: Diagnostics,
) -> MirrorMap:
    """Return the map of the rules of a policy; rules of a cycle are a problem, and left out.

    Args:
        located: Rules of the file. They win over those of profiles with the same match.
        profiles: Names of known profiles, in order of precedence.
        location: Where the policy is.
        diagnostics: Where cycles are added.
    """
    by_match = {rule.name: rule for rule, _ in located}
    for profile in profiles:
        for rule in PROFILES[profile].rules:
            by_match.setdefault(rule.name, rule)
    rules = list(by_match.values())
    locations = {str(rule): location for rule, location in located}
    for _ in range(MAX_CYCLES):
        try:
            return MirrorMap(rules)
        except RuleCycleError as error:
            found = [locations[name] for name in error.names if name in locations]
            found.sort(key=lambda each: (each.line, each.column))
            others = ", ".join(f"line {each.line}" for each in found[1:])
            detail = f" (see also {others})" if others else ""
            diagnostics.add_problem(found[0] if found else location, error.problem + detail)
            rules = [rule for rule in rules if str(rule) not in error.names]
        except InvalidRuleError as error:
            diagnostics.add_problem(location, error.problem)
            break
    return MirrorMap([])

"""The prefix table as strings, which is how a policy of the API server holds the rules.

The keys are prefixes in a form that is valid for the keys of a ConfigMap, so that a policy
finds a rule in one as fast as in a literal, and spends nothing on parsing. A slash is
written as two dots, which no name has; what only registries have (ports, IPv6 addresses)
is written with characters that no registry has there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from webhook.core import InvalidRuleError, Mirror, Rule
from webhook.core.rules import EVERY_REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from webhook.render.prefix_table import PrefixEntry

__all__ = [
    "DEPTH_KEY",
    "DOMAINS_KEY",
    "EVERY_KEY",
    "FLATTEN",
    "IN_REGISTRIES",
    "LIMIT",
    "MAX_DEPTH",
    "MAX_DOMAINS",
    "MAX_KEY",
    "MAX_LITERAL",
    "SLASH",
    "make_policy_table",
    "parse_cel_literal",
    "parse_policy_table",
    "to_cel_literal",
]

SLASH: Final = ".."
IN_REGISTRIES: Final[Mapping[str, str]] = {":": "_", "[": "-", "]": "-"}
# No registry begins with an underscore.
DEPTH_KEY: Final = "_depth"
DOMAINS_KEY: Final = "_domains"
EVERY_KEY: Final = "_every-registry"
# At the end of a target: only the last part of the repository follows.
FLATTEN: Final = "/*"
# After that: most characters that may follow the prefix.
LIMIT: Final = "<"

# Longest key of a ConfigMap.
MAX_KEY: Final = 253
# cel-go's parser refuses expressions of more than 100,000 characters.
MAX_LITERAL: Final = 90_000
# The cost of an image grows with both.
MAX_DOMAINS: Final = 20
MAX_DEPTH: Final = 10

PAIR: Final = re.compile(r"'([^']*)': '([^']*)'")
# An IPv6 address is written between hyphens; no other registry begins with one.
ADDRESS: Final = re.compile(r"^-([^-]*)-")


def make_policy_table(entries: Sequence[PrefixEntry]) -> dict[str, str]:
    """Return the targets of each prefix by its key, separated by spaces; empty to keep images.

    Raises:
        InvalidRuleError: A path is too long, or there are too many wildcards.
    """
    prefixed = [entry for entry in entries if entry.registry != EVERY_REGISTRY]
    table = {
        DEPTH_KEY: str(_find_depth(prefixed)),
        DOMAINS_KEY: " ".join(_find_domains(prefixed)),
    }
    for entry in entries:
        key = EVERY_KEY if entry.registry == EVERY_REGISTRY else _make_key(entry)
        table[key] = " ".join(
            target.name
            + (FLATTEN if target.flatten else "")
            + (f"{LIMIT}{target.limit}" if target.limit else "")
            for target in entry.targets
        )
    return table


def to_cel_literal(table: Mapping[str, str]) -> str:
    """Return a table as a literal of CEL.

    Raises:
        InvalidRuleError: The API server does not take one that is so large.
    """
    pairs = [f"'{key}': '{targets}'" for key, targets in table.items()]
    text = "{" + ",\n".join(pairs) + "}"
    if len(text) > MAX_LITERAL:
        raise InvalidRuleError(
            f"the rules make {len(text)} characters of CEL, and the API server allows "
            f"about {MAX_LITERAL}: use the webhook, a ConfigMap (--params) or fewer rules"
        )
    return text


def parse_cel_literal(text: str) -> dict[str, str]:
    """Return the table of a literal from `to_cel_literal`; empty for other expressions."""
    return dict(PAIR.findall(text)) if text.lstrip().startswith("{") else {}


def parse_policy_table(table: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return the rules of a table that was read from a policy or its ConfigMap.

    Raises:
        InvalidRuleError: Somebody else has written the table.
    """
    return tuple(
        Rule(_read_prefix(key), [_read_mirror(target) for target in targets.split()])
        if targets.strip()
        else Rule(_read_prefix(key), keep=True)
        for key, targets in table.items()
        if key not in (DEPTH_KEY, DOMAINS_KEY)
    )


def _make_key(entry: PrefixEntry) -> str:
    key = _make_registry_key(entry.registry)
    if entry.path:
        key += SLASH + entry.path.replace("/", SLASH)
    if len(key) > MAX_KEY:
        raise InvalidRuleError(
            f"the prefix {entry.prefix} makes a key of {len(key)} characters, and a "
            f"ConfigMap allows {MAX_KEY}: use the webhook"
        )
    return key


def _make_registry_key(registry: str) -> str:
    """Return a registry as the beginning of a key; a wildcard begins with its dot."""
    key = registry.removeprefix("*")
    for character, replacement in IN_REGISTRIES.items():
        key = key.replace(character, replacement)
    return key


def _find_depth(entries: Iterable[PrefixEntry]) -> int:
    """Return the number of parts of the longest path."""
    depth = max((entry.path.count("/") + 1 for entry in entries if entry.path), default=0)
    if depth > MAX_DEPTH:
        raise InvalidRuleError(
            f"a rule has a path of {depth} parts, and a policy allows {MAX_DEPTH}: use the webhook"
        )
    return depth


def _find_domains(entries: Iterable[PrefixEntry]) -> list[str]:
    """Return the domains whose subdomains have entries, the longest first."""
    domains = {_make_registry_key(entry.registry) for entry in entries if entry.is_wildcard}
    if len(domains) > MAX_DOMAINS:
        raise InvalidRuleError(
            f"the rules have wildcards for {len(domains)} domains, and a policy allows "
            f"{MAX_DOMAINS}: use the webhook"
        )
    return sorted(domains, key=lambda domain: (-len(domain), domain))


def _read_prefix(key: str) -> str:
    if key == EVERY_KEY:
        return EVERY_REGISTRY
    registry, dots, path = key.partition(SLASH)
    registry = ADDRESS.sub(r"[\1]", registry).replace("_", ":")
    if registry.startswith("."):
        registry = f"*{registry}"
    return f"{registry}/{path.replace(SLASH, '/')}" if dots else registry


def _read_mirror(target: str) -> Mirror:
    target = target.partition(LIMIT)[0]
    bare = target.removesuffix(FLATTEN)
    return Mirror(bare, flatten=bare != target)

"""The rules as a table of texts, which is all that a policy has to know of them.

Its keys are prefixes in a form that a ConfigMap takes for its keys, so that a policy finds
a rule in one as fast as in a literal: no budget is spent on reading the rules. A slash
is two dots, which no part of a name begins, ends or holds; what only a registry
has (port, IPv6 address) is written with characters that no registry has there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from webhook.core import InvalidRuleError, Mirror, Rule
from webhook.core.rules import EVERY_REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from webhook.render.prefix_table import Entry, Place

__all__ = [
    "DEPTH_KEY",
    "DOMAINS_KEY",
    "EVERY_KEY",
    "FLATTEN",
    "IN_REGISTRIES",
    "MAX_DEPTH",
    "MAX_DOMAINS",
    "MAX_KEY",
    "MAX_LITERAL",
    "SLASH",
    "literal",
    "literal_table",
    "rules_of",
    "table_of",
]

SLASH: Final = ".."
IN_REGISTRIES: Final[Mapping[str, str]] = {":": "_", "[": "-", "]": "-"}
# No registry begins with an underscore.
DEPTH_KEY: Final = "_depth"
DOMAINS_KEY: Final = "_domains"
EVERY_KEY: Final = "_every-registry"
# At the end of a target: only the last part of the repository follows.
FLATTEN: Final = "/*"

# Longest key of a ConfigMap.
MAX_KEY: Final = 253
# cel-go's parser refuses expressions of more than 100,000 characters.
MAX_LITERAL: Final = 90_000
# Each image is compared with each of these.
MAX_DOMAINS: Final = 20
MAX_DEPTH: Final = 10
PAIR: Final = re.compile(r"'([^']*)': '([^']*)'")
# An IPv6 address stands between hyphens, and no other registry begins with one.
ADDRESS: Final = re.compile(r"^-([^-]*)-")


def table_of(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the targets by the key of each prefix; without a target an image is left alone.

    Raises:
        InvalidRuleError: A path is too long, or there are too many subdomains.
    """
    prefixed = [entry for entry in entries if entry.registry != EVERY_REGISTRY]
    table = {
        DEPTH_KEY: str(depth_of(prefixed)),
        DOMAINS_KEY: " ".join(domains_of(prefixed)),
    }
    for entry in entries:
        if entry.registry == EVERY_REGISTRY:
            table[EVERY_KEY] = targets_of(entry.places)
        else:
            table[key_of(entry)] = targets_of(entry.places)
    return table


def literal(table: Mapping[str, str]) -> str:
    """Return a table as a literal of CEL.

    Raises:
        InvalidRuleError: It is larger than the API server takes.
    """
    pairs = [f"'{key}': '{targets}'" for key, targets in table.items()]
    text = "{" + ",\n".join(pairs) + "}"
    if len(text) > MAX_LITERAL:
        raise InvalidRuleError(
            f"the rules make {len(text)} characters of CEL, and the API server takes "
            f"about {MAX_LITERAL}: use the webhook, a ConfigMap (--params) or fewer rules"
        )
    return text


def key_of(entry: Entry) -> str:
    """Return the key of an entry.

    Raises:
        InvalidRuleError: It is longer than those of a ConfigMap.
    """
    key = in_registry(entry.registry)
    if entry.path:
        key += SLASH + entry.path.replace("/", SLASH)
    if len(key) > MAX_KEY:
        raise InvalidRuleError(
            f"a rule is for {entry.prefix}, which makes a key of {len(key)} characters, "
            f"and a ConfigMap has them up to {MAX_KEY}: use the webhook"
        )
    return key


def in_registry(registry: str) -> str:
    """Return a registry as it begins a key; subdomains begin with their dot."""
    key = registry.removeprefix("*")
    for character, written in IN_REGISTRIES.items():
        key = key.replace(character, written)
    return key


def targets_of(places: Sequence[Place]) -> str:
    """Return the targets of places, the preferred first, as one text."""
    return " ".join(place.target + (FLATTEN if place.flatten else "") for place in places)


def depth_of(entries: Iterable[Entry]) -> int:
    """Return the number of parts of the longest path.

    Raises:
        InvalidRuleError: They are too many.
    """
    depth = max((entry.path.count("/") + 1 for entry in entries if entry.path), default=0)
    if depth > MAX_DEPTH:
        raise InvalidRuleError(
            f"a rule has a path of {depth} parts, and in CEL up to {MAX_DEPTH} are "
            "bearable: use the webhook"
        )
    return depth


def domains_of(entries: Iterable[Entry]) -> list[str]:
    """Return the domains whose subdomains have entries, the longest first.

    Raises:
        InvalidRuleError: They are too many.
    """
    domains = {in_registry(entry.registry) for entry in entries if entry.is_wildcard}
    if len(domains) > MAX_DOMAINS:
        raise InvalidRuleError(
            f"the rules name the subdomains of {len(domains)} domains, and in CEL up to "
            f"{MAX_DOMAINS} are bearable: use the webhook"
        )
    return sorted(domains, key=lambda domain: (-len(domain), domain))


def literal_table(text: str) -> dict[str, str]:
    """Return the table that is a literal of CEL; empty where *text* is none."""
    return dict(PAIR.findall(text)) if text.lstrip().startswith("{") else {}


def rules_of(table: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return rules that say what a table says; what it says of itself is left out.

    Raises:
        InvalidRuleError: Somebody else has written it.
    """
    return tuple(
        Rule(prefix_of(key), [mirror_of(target) for target in targets.split()])
        if targets.strip()
        else Rule(prefix_of(key), keep=True)
        for key, targets in table.items()
        if key not in (DEPTH_KEY, DOMAINS_KEY)
    )


def prefix_of(key: str) -> str:
    """Return the prefix that a key stands for."""
    if key == EVERY_KEY:
        return EVERY_REGISTRY
    registry, dots, path = key.partition(SLASH)
    registry = ADDRESS.sub(r"[\1]", registry).replace("_", ":")
    if registry.startswith("."):
        registry = f"*{registry}"
    return f"{registry}/{path.replace(SLASH, '/')}" if dots else registry


def mirror_of(target: str) -> Mirror:
    """Return the mirror that a target stands for."""
    bare = target.removesuffix(FLATTEN)
    return Mirror(bare, flatten=bare != target)

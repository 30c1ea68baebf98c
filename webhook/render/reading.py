"""Tables of prefixes read back, out of a policy or its ConfigMap, as rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from webhook.core import Mirror, Rule
from webhook.core.rules import EVERY_REGISTRY
from webhook.render.table import (
    DEPTH_KEY,
    DOMAINS_KEY,
    EVERY_KEY,
    FLATTEN,
    SLASH,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["literal_table", "rules_of"]

PAIR: Final = re.compile(r"'([^']*)': '([^']*)'")
# An IPv6 address stands between hyphens, and no other registry begins with one.
ADDRESS: Final = re.compile(r"^-([^-]*)-")


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

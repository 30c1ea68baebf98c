r"""Regular expressions for the rewrites of k3s: each covers one prefix, and nothing else does.

k3s tries its rewrites in no order, and Go's RE2 has no look-ahead. So a pattern that
must leave longer prefixes to others spells out every name that is none of theirs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["flattening", "moving", "outside"]

Trie: TypeAlias = "dict[str, Trie]"

LAST_PART: Final = "([^/]+)"


def moving(path: str, target: str, others: Collection[str] = ()) -> tuple[str, str]:
    """Return a pattern for what lies below a path, and its replacement.

    Args:
        path: Leading parts of the repository; empty for all of it.
        target: What takes their place; it may be empty.
        others: Longer paths below *path* that other patterns cover.
    """
    rest = outside({other[len(path) :].removeprefix("/") for other in others})
    if not path:
        return f"^({rest})$", f"{target}/$1" if target else "$1"
    literal = re.escape(path)
    if not target:
        return f"^{literal}/({rest})$", "$1"
    return f"^{literal}(/{rest})?$", f"{target}$1"


def flattening(path: str, target: str) -> dict[str, str]:
    """Return patterns and replacements that keep the last part of what lies below a path.

    Args:
        path: Leading parts of the repository; empty for all of it.
        target: What the last part follows; it may be empty.
    """
    before = f"{target}/" if target else ""
    if not path:
        return {f"^(?:.*/)?{LAST_PART}$": f"{before}$1"}
    literal = re.escape(path)
    return {
        f"^{literal}$": before + path.rpartition("/")[2],
        f"^{literal}/(?:.*/)?{LAST_PART}$": f"{before}$1",
    }


def outside(paths: Collection[str]) -> str:
    """Return a pattern for every name that neither is one of *paths* nor lies below one."""
    if not paths:
        return ".*"
    trie: Trie = {}
    topmost = [path for path in paths if not any(path.startswith(f"{other}/") for other in paths)]
    for path in topmost:
        node = trie
        for character in f"{path}/":
            node = node.setdefault(character, {})
    return spelt(trie)


def spelt(trie: Trie) -> str:
    """Return a pattern for what leaves a *trie* before the slash that ends a path of it."""
    known = "".join(sorted(trie))
    ways = [f"[^{re.escape(known)}].*"]
    for character, below in sorted(trie.items()):
        if below:
            ways.append(re.escape(character) + spelt(below))
    ended = trie.get("/") == {}
    return f"(?:{'|'.join(ways)})" + ("" if ended else "?")

"""A rules file of rules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from webhook.core import Original

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webhook.core import Rule

__all__ = ["written"]


def written(rules: Iterable[Rule], title: str) -> str:
    """Return the text of a rules file.

    Args:
        rules: The rules.
        title: What to say at its head, in one line.
    """
    known = list(rules)
    lines = [f"# {title}", "rules:" if known else "rules: []"]
    for rule in known:
        lines += lines_of(rule)
    return "\n".join([*lines, ""])


def lines_of(rule: Rule) -> Iterator[str]:
    """Yield the lines of one rule."""
    if rule.regex is not None:
        yield f"  - regex: {quoted(str(rule.regex))}"
    else:
        yield f"  - match: {plain(str(rule.match))}"
    if rule.keep:
        yield "    keep: true"
        return
    yield "    mirrors:"
    for mirror in rule.mirrors:
        target = quoted(mirror.target) if mirror.is_template else plain(mirror.target)
        if mirror.flatten:
            yield f"      - target: {target}"
            yield "        flatten: true"
        else:
            yield f"      - {target}"
    if rule.original is not Original.LAST:
        yield f"    original: {rule.original}"


def plain(text: str) -> str:
    """Return a registry as YAML: in quotes where it begins with what YAML has a meaning for."""
    return text if text[0].isalpha() else json.dumps(text)


def quoted(text: str) -> str:
    """Return a text with backslashes as YAML."""
    return "'" + text.replace("'", "''") + "'"

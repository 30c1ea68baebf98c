"""Differences between two texts, for people."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["unified"]

STYLES: Final = {"+": "green", "-": "red", "@": "cyan"}


def unified(before: str, after: str, name: str) -> Iterator[tuple[str, str | None]]:
    """Yield the lines of a unified diff, each with its colour.

    Args:
        before: The old text.
        after: The new one.
        name: The file's name.
    """
    old, new = (text.split("\n") for text in (before, after))
    lines = unified_diff(old, new, f"a/{name.lstrip('/')}", f"b/{name.lstrip('/')}", lineterm="")
    for line in lines:
        yield line, STYLES.get(line[:1])

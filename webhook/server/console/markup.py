"""HTML and SVG by calls: every text is escaped where it is put in.

One page does not need a template engine, and here nobody can forget to escape.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Child", "Markup", "document", "joined", "tag"]

VOID: Final = frozenset({"input", "link", "meta"})


@dataclass(frozen=True, slots=True)
class Markup:
    """Text that is HTML already."""

    text: str


Child: TypeAlias = str | Markup | None


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """Return an element.

    Args:
        name: Its name.
        children: What it holds; a text is escaped, and None is nothing.
        attributes: Its attributes: ``class_`` is *class*, ``aria_label`` is
            *aria-label*. True is an attribute without a value; with None and False
            there is none.
    """
    written = "".join(
        attribute(key.rstrip("_").replace("_", "-"), value)
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(children).text}</{name}>")


def attribute(key: str, value: str | float | bool) -> str:
    """Return an attribute with the blank before it."""
    return f" {key}" if isinstance(value, bool) else f' {key}="{escape(str(value))}"'


def joined(children: Iterable[Child]) -> Markup:
    """Return one after the other."""
    return Markup(
        "".join(
            child.text if isinstance(child, Markup) else escape(child)
            for child in children
            if child is not None
        )
    )


def document(root: Markup) -> str:
    """Return a whole document."""
    return f"<!doctype html>\n{root.text}\n"

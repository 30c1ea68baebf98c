"""Forms that ask by GET: what was asked for can be kept as a bookmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhook.server.console.markup import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["choice", "field", "form"]


def form(anchor: str, action: str, kept: Mapping[str, str], *fields: Markup) -> Markup:
    """Return a form.

    Args:
        anchor: Where on the page the answer is.
        action: What the button says.
        kept: What was asked for elsewhere on the page, and is not to be forgotten.
        fields: Its fields.
    """
    hidden = [
        tag("input", type="hidden", name=name, value=value) for name, value in kept.items() if value
    ]
    button = tag("button", action, type="submit")
    return tag("form", *hidden, *fields, button, method="get", action=f"/{anchor}")


def field(name: str, label: str, value: str, example: str = "") -> Markup:
    """Return a field for a text."""
    box = tag(
        "input",
        name=name,
        value=value,
        placeholder=example or None,
        autocomplete="off",
        autocapitalize="none",
        spellcheck="false",
    )
    return tag("label", tag("span", label), box)


def choice(name: str, label: str, options: Mapping[str, str], value: str) -> Markup:
    """Return a field for one of a few values, each with what it is called."""
    listed = [
        tag("option", shown, value=option, selected=option == value)
        for option, shown in options.items()
    ]
    return tag("label", tag("span", label), tag("select", *listed, name=name))

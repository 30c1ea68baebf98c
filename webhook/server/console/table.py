"""Tables that turn into cards where the window is narrow, and small signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.core import MatchKind, Outcome
from webhook.server.console.markup import Child, Markup, tag
from webhook.server.health import Standing
from webhook.server.history import ERROR, SKIPPED
from webhook.server.replicas import Presence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from webhook.server.console.words import Words

__all__ = ["NONE", "badge", "code", "section", "table", "time"]

NONE: Final = "—"
GOOD, DOUBTFUL, BAD, PLAIN = "good", "doubtful", "bad", "plain"
TONES: Final = {
    Outcome.REWRITTEN: GOOD,
    Outcome.UNCONFIRMED: DOUBTFUL,
    Outcome.UNAVAILABLE: BAD,
    Outcome.INVALID: BAD,
    Outcome.LOOPING: BAD,
    ERROR: BAD,
    SKIPPED: PLAIN,
    MatchKind.APPLIES: GOOD,
    MatchKind.FOLLOWS: GOOD,
    MatchKind.SHADOWED: DOUBTFUL,
    Standing.ANSWERS: GOOD,
    Standing.FAILING: DOUBTFUL,
    Standing.LEFT_ALONE: BAD,
    Presence.READY: GOOD,
    Presence.NOT_READY: BAD,
    Presence.SILENT: BAD,
}


def section(name: str, title: str, *children: Child) -> Markup:
    """Return a section of the page with its heading."""
    heading = tag("h2", title, id=name)
    return tag("section", heading, *children, aria_labelledby=name)


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Child]]) -> Markup:
    """Return a table; each cell knows the head of its column, for narrow windows."""
    body = [
        tag(
            "tr",
            *(
                tag("td", tag("div", cell), data_head=head)
                for head, cell in zip(heads, row, strict=True)
            ),
        )
        for row in rows
    ]
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *body),
    )


def badge(value: str, words: Words) -> Markup:
    """Return a value of few, such as an outcome, as a small sign, in words."""
    return tag("span", words(value), class_=f"badge {TONES.get(value, PLAIN)}")


def code(text: str) -> Markup:
    """Return a name as it is written."""
    return tag("code", text)


def time(moment: datetime) -> Markup:
    """Return a time, in UTC."""
    shown = moment.strftime("%Y-%m-%d %H:%M:%S")
    return tag("time", f"{shown} UTC", datetime=moment.isoformat())

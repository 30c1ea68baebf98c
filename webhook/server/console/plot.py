"""The last hour as bars, drawn here: no script, no picture from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.server.console.markup import Markup, tag
from webhook.server.console.table import section

if TYPE_CHECKING:
    from webhook.server.console.values import MinuteRow
    from webhook.server.console.words import Words

__all__ = ["plot_section"]

LEFT, TOP, BOTTOM = 48, 16, 24
STEP, BAR, HEIGHT = 12, 10, 140
TICKS: Final = 15
KINDS: Final = ("rewritten", "left", "doubtful")


def plot_section(minutes: list[MinuteRow], words: Words) -> Markup:
    """Return the section: a bar for each minute of the last hour, in words too."""
    names = {
        "rewritten": words("rewritten"),
        "left": words("left as they were"),
        "doubtful": words("in doubt"),
    }
    totals = {kind: sum(getattr(each, kind) for each in minutes) for kind in KINDS}
    summary = ", ".join(f"{totals[kind]} {names[kind]}" for kind in KINDS)
    legend = [
        tag("span", tag("span", class_=f"key {kind}"), f" {totals[kind]} {names[kind]}")
        for kind in KINDS
    ]
    return section(
        "rewrites",
        words("Images of the last hour"),
        tag("p", *legend, class_="legend"),
        drawing(minutes, words("Images by minute: {summary}", summary=summary), names),
    )


def drawing(minutes: list[MinuteRow], label: str, names: dict[str, str]) -> Markup:
    """Return the plot."""
    most = ceiling(max((e.rewritten + e.left + e.doubtful for e in minutes), default=0))
    width = LEFT + STEP * len(minutes)
    parts = [
        mark
        for value in (most, most // 2, 0)
        for mark in level(value, TOP + HEIGHT * (1 - value / most), width)
    ]
    for index, minute in enumerate(minutes):
        x = LEFT + STEP * index
        if index % TICKS == 0 or index == len(minutes) - 1:
            anchor = "end" if index == len(minutes) - 1 else "start"
            parts.append(
                tag(
                    "text",
                    f"{minute.start:%H:%M}",
                    x=x + (BAR if anchor == "end" else 0),
                    y=TOP + HEIGHT + 18,
                    text_anchor=anchor,
                )
            )
        parts.append(bar(minute, x, HEIGHT / most, names))
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {width} {TOP + HEIGHT + BOTTOM}",
        role="img",
        aria_label=label,
        class_="plot",
    )


def bar(minute: MinuteRow, x: float, scale: float, names: dict[str, str]) -> Markup:
    """Return the bar of one minute."""
    told = ", ".join(f"{getattr(minute, kind)} {names[kind]}" for kind in KINDS)
    parts = [tag("title", f"{minute.start:%H:%M} UTC: {told}")]
    y = float(TOP + HEIGHT)
    for kind in KINDS:
        height = getattr(minute, kind) * scale
        if height:
            y -= height
            parts.append(
                tag(
                    "rect",
                    x=x,
                    y=f"{y:.1f}",
                    width=BAR,
                    height=f"{height:.1f}",
                    class_=kind,
                )
            )
    return tag("g", *parts)


def level(value: int, y: float, width: int) -> tuple[Markup, Markup]:
    """Return a line across the plot, and its value."""
    line = tag("line", x1=LEFT, x2=width, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="level")
    text = tag("text", str(value), x=LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end")
    return line, text


def ceiling(value: int) -> int:
    """Return the next number with one digit that is even, and at least 2."""
    size = 1
    while size * 10 < value:
        size *= 10
    return next((n * size for n in (2, 4, 6, 8, 10) if n * size >= value), size * 10)

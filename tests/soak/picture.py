"""Draws samples over time as an SVG, which follows the light or dark mode of its reader."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Line", "Panel", "draw"]

WIDTH, LEFT, RIGHT = 760, 62, 16
TOP, HEIGHT, GAP = 52, 120, 46
INNER = WIDTH - LEFT - RIGHT
STYLE = """\
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .small { fill: #59636e }
  .card { fill: #ffffff; stroke: #d1d9e0 }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .event { stroke: #818b98; stroke-width: 1; stroke-dasharray: 2 3 }
  .line { fill: none; stroke-width: 1.5; stroke-linejoin: round }
  .a { stroke: #0969da } .b { stroke: #bc4c00 }
  text.a { fill: #0969da; stroke: none } text.b { fill: #bc4c00; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .card { fill: #161b22; stroke: #3d444d }
    .grid { stroke: #3d444d }
    .event { stroke: #9198a1 }
    .a { stroke: #58a6ff } .b { stroke: #f0883e }
    text.a { fill: #58a6ff } text.b { fill: #f0883e }
  }"""


@dataclass(frozen=True)
class Line:
    """A line of a panel: its name, and its value at each minute."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Lines with the same unit, one above the other."""

    title: str
    lines: Sequence[Line]


def draw(title: str, panels: Sequence[Panel], events: Iterable[float] = ()) -> str:
    """Return an SVG with panels that share their axis of minutes.

    Args:
        title: Its title.
        panels: From top to bottom, each of one or two lines.
        events: Minutes to mark in all panels with a dotted line.
    """
    last = max(point[0] for panel in panels for line in panel.lines for point in line.points)
    height = TOP + len(panels) * (HEIGHT + GAP) + 8
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        f'<text class="title" x="16" y="26">{escape(title)}</text>',
    ]
    marks = [LEFT + INNER * minute / last for minute in events]
    for number, panel in enumerate(panels):
        parts += draw_panel(panel, TOP + 14 + number * (HEIGHT + GAP), last, marks)
    parts.append("</svg>\n")
    return "\n".join(parts)


def draw_panel(panel: Panel, top: int, last: float, marks: Sequence[float]) -> Iterable[str]:
    """Yield the elements of a panel."""
    bottom = top + HEIGHT
    highest = max(value for line in panel.lines for _, value in line.points)
    step = find_step(highest)
    upper = step * max(1, math.ceil(highest / step))
    yield f'<text x="{LEFT}" y="{top - 8}">{escape(panel.title)}</text>'
    if len(panel.lines) > 1:
        for number, line in enumerate(panel.lines):
            x = WIDTH - RIGHT - 90 * (len(panel.lines) - 1 - number)
            place = f'class="{"ab"[number]}" x="{x}" y="{top - 8}" text-anchor="end"'
            yield f"<text {place}>{escape(line.name)}</text>"
    for count in range(round(upper / step) + 1):
        y = bottom - HEIGHT * count * step / upper
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        label = f"{count * step:g}"
        yield f'<text class="small" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    for minute in count_minutes(last):
        x = LEFT + INNER * minute / last
        label = f"{minute:g} min" if minute else "0"
        anchor = "middle" if x < WIDTH - 2 * RIGHT else "end"
        place = f'x="{x:.1f}" y="{bottom + 17}" text-anchor="{anchor}"'
        yield f'<text class="small" {place}>{label}</text>'
    for x in marks:
        yield f'<path class="event" d="M{x:.1f} {top}V{bottom}"/>'
    for number, line in enumerate(panel.lines):
        points = " ".join(
            f"{LEFT + INNER * minute / last:.1f},{bottom - HEIGHT * value / upper:.1f}"
            for minute, value in line.points
        )
        yield f'<polyline class="line {"ab"[number]}" points="{points}"/>'


def find_step(highest: float) -> float:
    """Return a round distance of grid lines, of which there are three to six."""
    power = 10.0 ** math.floor(math.log10(highest / 3)) if highest > 0 else 1.0
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * 5 >= highest)


def count_minutes(last: float) -> list[float]:
    """Return the minutes that get a label."""
    step = find_step(last)
    return [step * count for count in range(math.floor(last / step) + 1)]

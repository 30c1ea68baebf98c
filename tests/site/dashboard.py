"""Draws the dashboard of the chart with the values of a real Prometheus.

Titles, queries, units, legends, thresholds and places are those of the dashboard's JSON. Grafana
itself is not needed: this follows its layout, and its units as far as the dashboard uses them.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from tests.tools.prometheus import ask, ask_range

DASHBOARD = Path(__file__).resolve().parents[2] / "charts/mirrorhook/files/dashboard.json"
WIDTH, UNIT, GAP = 1400, 20, 8  # pixels: of the picture, of a row of the grid, between panels
COLUMNS = 24
TICKS = 4
POINTS = 150  # of a curve
RATE_SECONDS = 15
COLORS = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0")
NAMED_COLORS = {"green": "#73bf69", "yellow": "#fade2a", "red": "#f2495c"}
SCALES = {
    "s": ((1e-6, "µs"), (1e-3, "ms"), (1, "s"), (60, "min"), (3600, "hours"), (86400, "days")),
    "bytes": ((1, "B"), (1024, "KiB"), (1024**2, "MiB"), (1024**3, "GiB")),
    "ops": ((1, "ops/s"),),
    "none": ((1, ""),),
}


@dataclass(frozen=True, slots=True)
class Curve:
    """One series of a panel: the path of its line, and of the area below it."""

    name: str
    color: str
    line: str
    area: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Where a panel draws, in pixels, with its axes: places and texts of their ticks."""

    left: float
    top: float
    right: float
    bottom: float
    rows: list[tuple[float, str]]
    columns: list[tuple[float, str]]
    curves: list[Curve]


@dataclass(frozen=True, slots=True)
class PanelPicture:
    """A panel as it is painted; a row is only a title, and a stat has a text with a colour."""

    kind: str
    title: str
    left: float
    top: float
    width: float
    height: float
    text: str = ""
    color: str = ""
    plot: Plot | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where values come from: the URL of Prometheus, and a time range in seconds."""

    address: str
    start: float
    end: float

    def fill(self, query: str) -> str:
        """Return a query with the variables of the dashboard filled in."""
        values = {"namespace": "mirrorhook", "policy": ".*", "__rate_interval": f"{RATE_SECONDS}s"}
        return re.sub(r"\$(\w+)", lambda match: values[match[1]], query)


def draw_panels(source: Source) -> list[PanelPicture]:
    """Return all panels of the dashboard with their values."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [_draw_panel(panel, source) for panel in panels]


def take_picture(panels: list[PanelPicture], picture: Path, scratch: Path) -> None:
    """Write the panels as a PNG file, painted by Chromium.

    Args:
        panels: The panels.
        picture: The file.
        scratch: Folder for the page and the profile of the browser.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "Chromium is not here: apt-get install chromium"
    height = math.ceil(max(panel.top + panel.height for panel in panels)) + GAP
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    page = scratch / "dashboard.html"
    page.write_text(
        templates.get_template("dashboard.html").render(panels=panels, width=WIDTH, height=height)
    )
    command = [
        *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *(f"--user-data-dir={scratch}/profile", f"--window-size={WIDTH},{height}"),
        *(f"--screenshot={picture}", page.as_uri()),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _draw_panel(panel: dict[str, Any], source: Source) -> PanelPicture:
    place = panel["gridPos"]
    column = (WIDTH - GAP) / COLUMNS
    left, top = GAP + place["x"] * column, GAP + place["y"] * (UNIT + GAP)
    width, height = place["w"] * column - GAP, place["h"] * (UNIT + GAP) - GAP
    common = (panel["type"], panel["title"], left, top, width, height)
    if panel["type"] == "row":
        return PanelPicture(*common)
    if panel["type"] == "stat":
        text, color = _read_stat(panel, source)
        return PanelPicture(*common, text=text, color=color)
    return PanelPicture(*common, plot=_draw_plot(panel, source, width, height))


def _read_stat(panel: dict[str, Any], source: Source) -> tuple[str, str]:
    """Return the value of a panel with its unit, and the colour of its threshold."""
    found = ask(source.address, source.fill(panel["targets"][0]["expr"]))
    if not found:
        return "No data", NAMED_COLORS["green"]
    value = float(found[0]["value"][1])
    defaults = panel["fieldConfig"]["defaults"]
    steps = defaults["thresholds"]["steps"]
    color = [each["color"] for each in steps if each["value"] is None or value >= each["value"]][-1]
    if defaults["unit"] == "dateTimeFromNow":
        text = f"{format_value(source.end - value / 1000, 's')} ago"
    else:
        text = format_value(value, defaults["unit"])
    return text, NAMED_COLORS[color]


def _draw_plot(panel: dict[str, Any], source: Source, width: float, height: float) -> Plot:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    series = [
        (_name_series(target["legendFormat"], found["metric"]), _read_points(found))
        for target in panel["targets"]
        for found in ask_range(
            source.address,
            source.fill(target["expr"]),
            source.start,
            source.end,
            (source.end - source.start) / POINTS,
        )
    ]
    series = [(name, points) for name, points in series if points]
    highest = max((value for _, points in series for _, value in points), default=0)
    factor, suffix = choose_scale(highest, unit)
    step = choose_step(highest / factor)
    count = max(1, math.ceil(highest / factor / step))
    left, top, right, bottom = 78.0, 36.0, width - 14, height - 46
    span = max(source.end - source.start, 1)

    def place_x(time: float) -> float:
        return left + (time - source.start) / span * (right - left)

    def place_y(value: float) -> float:
        return bottom - value / (factor * step * count) * (bottom - top)

    ticks = [source.start + span * number / TICKS for number in range(TICKS + 1)]
    curves = [
        _draw_curve(name, COLORS[n % len(COLORS)], points, place_x, place_y)
        for n, (name, points) in enumerate(series)
    ]
    return Plot(
        left,
        top,
        right,
        bottom,
        [
            (place_y(n * step * factor), f"{n * step:.6g} {suffix}".strip())
            for n in range(count + 1)
        ],
        [(place_x(time), f"{datetime.fromtimestamp(time, UTC):%H:%M:%S}") for time in ticks],
        curves,
    )


def _draw_curve(
    name: str,
    color: str,
    points: list[tuple[float, float]],
    place_x: Callable[[float], float],
    place_y: Callable[[float], float],
) -> Curve:
    places = [(place_x(time), place_y(value)) for time, value in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    ground = place_y(0)
    area = f"{places[0][0]:.1f},{ground:.1f} {line} {places[-1][0]:.1f},{ground:.1f}"
    return Curve(name, color, line, area)


def _read_points(found: dict[str, Any]) -> list[tuple[float, float]]:
    """Return the times and values of a series, without those that are not a number."""
    points = [(float(time), float(value)) for time, value in found["values"]]
    return [(time, value) for time, value in points if math.isfinite(value)]


def _name_series(legend: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), legend)


def choose_scale(value: float, unit: str) -> tuple[float, str]:
    """Return the largest unit that is not larger than a value: its size and its name."""
    scales = SCALES[unit]
    return max((each for each in scales if each[0] <= abs(value)), default=scales[0])


def choose_step(highest: float) -> float:
    """Return the distance of ticks, a round number, for an axis from 0."""
    rough = highest / TICKS or 1
    power: float = 10 ** math.floor(math.log10(rough))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= rough * 0.999)


def format_value(value: float, unit: str) -> str:
    """Return a value with its unit, with three digits."""
    factor, suffix = choose_scale(value, unit)
    return f"{value / factor:.3g} {suffix}".strip()

"""The README of the chart: its tables of values come from values.yaml."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.generate.chart_values import Section, Value, read

CHART = Path(__file__).resolve().parents[2] / "charts/mirrorhook"
BEGIN, END = "<!-- values -->\n", "<!-- /values -->\n"
WIDTH = 90


def content() -> str:
    """Return the README as it is, with the tables anew."""
    before, _, rest = (CHART / "README.md").read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    sections = read((CHART / "values.yaml").read_text())
    return before + BEGIN + "".join(map(section, sections)) + END + after


def section(given: Section) -> str:
    """Return a section as Markdown: its introduction, its table, and the examples."""
    parts = [f"### {given.title}"]
    if given.introduction:
        parts.append(textwrap.fill(given.introduction, WIDTH))
    rows = ["| value | default | meaning |", "| --- | --- | --- |", *map(row, given.values)]
    parts.append("\n".join(rows))
    for value in given.values:
        if value.example:
            example = textwrap.indent(value.example, "  ")
            parts.append(f"```yaml\n{value.path}:\n{example}\n```")
    return "\n" + "\n\n".join(parts) + "\n"


def row(value: Value) -> str:
    """Return the line of a value in its table."""
    cells = (f"`{value.path}`", f"`{value.default}`", value.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

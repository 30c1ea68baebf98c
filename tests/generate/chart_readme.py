"""The README of the chart: its tables of values are generated from values.yaml."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.generate.chart_values import Section, Value, parse_values

CHART = Path(__file__).resolve().parents[2] / "charts/mirrorhook"
BEGIN, END = "<!-- values -->\n", "<!-- /values -->\n"
WIDTH = 90


def generate() -> str:
    """Return the README with its tables regenerated."""
    before, _, rest = (CHART / "README.md").read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    sections = parse_values((CHART / "values.yaml").read_text())
    return before + BEGIN + "".join(map(_format_section, sections)) + "\n" + END + after


def _format_section(section: Section) -> str:
    """Return a section as Markdown: its introduction, its table, and the examples."""
    parts = [f"### {section.title}"]
    if section.introduction:
        parts.append(textwrap.fill(section.introduction, WIDTH))
    rows = ["| value | default | meaning |", "| --- | --- | --- |"]
    parts.append("\n".join([*rows, *map(format_row, section.values)]))
    for value in section.values:
        if value.example:
            example = textwrap.indent(value.example, "  ")
            parts.append(f"```yaml\n{value.path}:\n{example}\n```")
    return "\n" + "\n\n".join(parts) + "\n"


def format_row(value: Value) -> str:
    """Return the table row of a value."""
    cells = (f"`{value.path}`", f"`{value.default}`", value.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

"""The page on metrics: its table is generated from the metrics registry."""

from __future__ import annotations

from pathlib import Path

from webhook.telemetry import Metrics

PAGE = Path(__file__).resolve().parents[2] / "docs/metrics.md"
BEGIN, END = "<!-- metrics -->\n", "<!-- /metrics -->\n"
OURS = "mirrorhook_"


def generate() -> str:
    """Return the page with its table regenerated."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    rows = ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |", *_make_rows()]
    return before + BEGIN + "\n" + "\n".join(rows) + "\n\n" + END + after


def _make_rows() -> list[str]:
    collectors = Metrics("", lambda: 0.0)._registry._collector_to_names
    rows = []
    for collector in filter(lambda each: hasattr(each, "describe"), collectors):
        for family in collector.describe():
            if family.name.startswith(OURS):
                suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
                labels = ", ".join(f"`{name}`" for name in collector._labelnames)
                if family.type == "info":
                    labels = "`version`"
                name = f"`{family.name}{suffix}`"
                rows.append(f"| {name} | {family.type} | {labels} | {family.documentation} |")
    return sorted(rows)

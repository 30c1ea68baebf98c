"""The page on metrics: its table is generated from the metrics registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from webhook.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry

PAGE = Path(__file__).resolve().parents[2] / "docs/metrics.md"
BEGIN, END = "<!-- metrics -->\n", "<!-- /metrics -->\n"
OURS = "mirrorhook_"


class UnlistedMetricError(ValueError):
    """A metric is served, and nothing says which labels it has."""


def generate() -> str:
    """Return the page with its table regenerated."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    registry = Metrics("", lambda: 0.0)._registry
    rows = [
        "| metric | type | labels | meaning |",
        "| --- | --- | --- | --- |",
        *sorted(_iterate_rows(registry)),
    ]
    return before + BEGIN + "\n" + "\n".join(rows) + "\n\n" + END + after


def _iterate_rows(registry: CollectorRegistry) -> Iterator[str]:
    """Yield a row for each of our metrics that the registry serves.

    Raises:
        UnlistedMetricError: A metric has no labels that could be read, not even none.
    """
    labels = {
        name: getattr(collector, "_labelnames", None)
        for collector, names in registry._collector_to_names.items()
        for name in names
    }
    for family in registry.collect():
        if not family.name.startswith(OURS):
            continue
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        known = ("version",) if family.type == "info" else labels.get(name)
        if known is None:
            raise UnlistedMetricError(name)
        cells = ", ".join(f"`{label}`" for label in known)
        yield f"| `{name}` | {family.type} | {cells} | {family.documentation} |"

"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from tests.bench.awake import can_keep_awake
from tests.bench.contest import CASES, FLOOR, OURS, USUAL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.bench.contest import Bound, Entry

__all__ = ["machine", "make_bound_table", "make_contest_table", "write_json"]

MICROSECONDS: Final = 1e6


def machine() -> str:
    """Return where it was measured, and when."""
    cores = len(os.sched_getaffinity(0))
    today = datetime.now(UTC).date()
    state = "kept awake" if can_keep_awake() else "that may sleep"
    return f"Python {platform.python_version()}, {cores} cores {state}, {today}"


def make_contest_table(entries: dict[tuple[str, str], Entry]) -> Table:
    """Return every server in every case, with its ratio to the floor of the stack."""
    table = Table("case", "server", "CPU a review", "to floor", "reviews/s", "50 %", "99 %")
    usual = entries[FLOOR, USUAL.name]
    for case in CASES:
        for (name, of), entry in entries.items():
            if of == case.name:
                floor = entries.get((FLOOR, case.name), usual)
                table.add_row(case.name, name, *figures(entry, floor))
        table.add_section()
    return table


def figures(entry: Entry, floor: Entry) -> tuple[str, ...]:
    """Return the medians of one entry, as texts."""
    return (
        f"{entry.middle(lambda each: each.cpu) * MICROSECONDS:.0f} µs",
        f"× {entry.ratio(floor):.2f}",
        f"{entry.middle(lambda each: each.rate):,.0f}",
        f"{entry.middle(lambda each: each.median) * MICROSECONDS:,.0f} µs",
        f"{entry.middle(lambda each: each.worst) * MICROSECONDS:,.0f} µs",
    )


def make_bound_table(bounds: Iterable[Bound]) -> Table:
    """Return what has to hold, and whether it does."""
    table = Table("what has to hold", "here", "at most", "")
    for bound in bounds:
        shown = (f"{value:,.2f} {bound.unit}" for value in (bound.value, bound.most))
        table.add_row(bound.name, *shown, Text("" if bound.holds else "over", "red"))
    return table


def write_json(path: Path, entries: dict[tuple[str, str], Entry], bounds: Iterable[Bound]) -> None:
    """Write all of it for programs; times are in seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = entries[OURS, USUAL.name]
    samples: list[dict[str, Any]] = [
        {
            "server": name,
            "case": case,
            "cpu": entry.middle(lambda each: each.cpu),
            "rate": entry.middle(lambda each: each.rate),
            "median": entry.middle(lambda each: each.median),
            "worst": entry.middle(lambda each: each.worst),
            "toOurs": entry.ratio(ours),
        }
        for (name, case), entry in entries.items()
    ]
    held = [
        {"name": each.name, "value": each.value, "most": each.most, "unit": each.unit}
        for each in bounds
    ]
    found = {"machine": machine(), "reviews": samples, "bounds": held}
    path.write_text(json.dumps(found, indent=2) + "\n")

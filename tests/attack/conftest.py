"""Figures of each attack, in a table at the end: `make attack`."""

from __future__ import annotations

import pytest

FIGURES = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[FIGURES] = []


@pytest.fixture
def figure(request):
    """Note a figure with its bound, and fail where it is over it."""
    figures = request.config.stash[FIGURES]

    def note(name, value, bound, unit):
        figures.append((name, f"{value:,.0f} {unit}", f"{bound:,.0f} {unit}"))
        assert value <= bound, f"{name}: {value:.1f} {unit}, over {bound} {unit}"

    return note


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash[FIGURES]
    if not figures:
        return
    rows = [("ATTACK", "HERE", "BOUND"), *figures]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    terminalreporter.write_sep("=", "attacks")
    for name, value, bound in rows:
        terminalreporter.write_line(f"{name:{widths[0]}}  {value:>{widths[1]}}  {bound}")

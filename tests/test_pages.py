"""Every page is Markdown that renders as it was meant."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path for folder in (".", "docs", "charts/mirrorhook") for path in (ROOT / folder).glob("*.md")
)
CELL = re.compile(r"(?<!\\)\|")
RULE = re.compile(r"\|(?: ?:?-+:? ?\|)+")
FENCE = re.compile(r"\s*(```|~~~)")


def find_problems(text):
    """Return the number of each line at which a table is broken, with the reason."""
    lines = []
    is_code = False
    for line in text.splitlines():
        if FENCE.match(line):
            is_code = not is_code
        lines.append("" if is_code else line)
    assert not is_code, "a fence is not closed"
    problems = []
    number = 0
    for is_row, group in groupby(lines, key=lambda line: line.lstrip().startswith("|")):
        block = list(group)
        number += len(block)
        if not is_row:
            continue
        first = number - len(block)
        if first and lines[first - 1].strip():
            problems.append((first + 1, "text directly above a table"))
        if number < len(lines) and lines[number].strip():
            problems.append((number + 1, "text directly below a table is a row of it"))
        if len(block) < 2 or not RULE.fullmatch(block[1].strip()):
            problems.append((first + 2, "a table without a line below its heading"))
        counts = [len(CELL.findall(row)) for row in block]
        problems += [
            (first + 1 + index, "another number of cells than the heading")
            for index, count in enumerate(counts)
            if count != counts[0]
        ]
    return problems


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_of_a_page_are_whole(page):
    assert find_problems(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("| a | b |\n|---|---|\n| 1 | 2 |\nSwallowed.\n", 4),
        ("Swallowing:\n| a |\n|---|\n", 2),
        ("| a | b |\n|---|---|\n| 1 | 2 | 3 |\n", 3),
        ("| a | b |\n| 1 | 2 |\n", 2),
    ],
)
def test_find_problems_finds_a_broken_table(text, line):
    assert [number for number, _ in find_problems(text)] == [line]

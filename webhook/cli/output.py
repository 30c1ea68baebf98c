"""Output for people and for programs: text, tables and JSON.

On a terminal text is coloured and folded into its width, but no word is cut, as image names are
copied from there. In a file or a pipe it has no colours, and no line is folded, so that it can be
searched.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import zip_longest
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.core.errors import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.progress import Progress

__all__ = [
    "create_progress",
    "escape_controls",
    "show_json",
    "show_markdown",
    "show_records",
    "show_table",
    "show_text",
]

GAP: Final = "  "
ATTRIBUTES: Final = frozenset({"bold", "dim"})


def show_text(text: str, *, style: str = "") -> None:
    """Write text to standard output, for people.

    Args:
        text: One line or several.
        style: ``bold``, ``dim``, a colour or nothing.
    """
    width = _output_width()
    _write(_style(line, style) for part in text.split("\n") for line in _fold(part, width))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table with a heading to standard output, for people."""
    heading = [(column, "bold") for column in columns]
    _write(_table_lines([heading, *([(cell, "") for cell in row] for row in rows)]))


def show_markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table of GitHub Flavored Markdown, in which no cell can be markup or HTML."""
    lines = [columns, ["---"] * len(columns)]
    lines += [[_escape_markdown(cell) for cell in row] for row in rows]
    click.echo("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _escape_markdown(text: str) -> str:
    return "".join(f"\\{c}" if c in r"\`*_[]<>|~" else c for c in text).replace("&", "&amp;")


def show_records(
    rows: Iterable[tuple[str, str, str]], *, title: str = "", indent: str = GAP
) -> None:
    """Write indented lines, each after a word that says what it is, for people.

    Args:
        rows: The word, its style (``bold``, ``dim``, a colour or nothing), and the text.
        title: A line above them; empty for none.
        indent: What each line begins with.
    """
    if title:
        show_text(title, style="bold")
    cells = [((word, style), (text, "")) for word, style, text in rows]
    _write(_table_lines(cells, indent))


def show_json(value: Any) -> None:
    """Write *value* to standard output as JSON, in UTF-8 whatever the locale (RFC 8259, 8.1)."""
    # Arguments that are not UTF-8 have lone surrogates, for which JSON has this escape.
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo(text.encode(errors="backslashreplace"))


def create_progress(title: str, total: int) -> Progress:
    """Return a progress bar on standard error; it is shown only on a terminal, until it ends."""
    from rich.console import Console  # noqa: PLC0415 - see main.py
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn  # noqa: PLC0415 - as above
    from rich.progress import Progress as Bar  # noqa: PLC0415 - as above

    bar = Bar(
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not sys.stderr.isatty(),
    )
    bar.add_task("", total=total)
    return bar


def _output_width() -> int:
    """Return the columns of the terminal on standard output; 0 if it is not a terminal."""
    return get_terminal_size().columns if sys.stdout.isatty() else 0


def _write(lines: Iterable[str]) -> None:
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    encoding = sys.stdout.encoding
    text = "\n".join(line.rstrip() for line in lines)
    click.echo(text.encode(encoding, "replace").decode(encoding), color=coloured)


def _table_lines(rows: Sequence[Sequence[tuple[str, str]]], indent: str = "") -> Iterator[str]:
    """Yield the lines of a table, of which each cell is a text and its style."""
    widths = _column_widths([[text for text, _ in row] for row in rows], len(indent))
    for row in rows:
        folded = [_fold(text, width) for (text, _), width in zip(row, widths, strict=True)]
        for lines in zip_longest(*folded, fillvalue=""):
            cells = (
                _style(text, style) + " " * (width - len(text))
                for text, (_, style), width in zip(lines, row, widths, strict=True)
            )
            yield indent + GAP.join(cells)


def _column_widths(rows: Sequence[Sequence[str]], indent: int) -> list[int]:
    """Return the width of each column; on a narrow terminal those that can be folded get less.

    If the words themselves are too wide, nothing is folded: the terminal continues each row in its
    next line.
    """
    columns = [*zip(*rows, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    words = [
        max(len(word) for text in column for word in [*text.split(), ""]) for column in columns
    ]
    terminal = _output_width()
    room = terminal - indent - len(GAP) * (len(widths) - 1)
    if not terminal or sum(words) > room:
        return widths
    while sum(widths) > room:
        foldable = [index for index, width in enumerate(widths) if width > words[index]]
        widths[max(foldable, key=widths.__getitem__)] -= 1
    return widths


def _fold(text: str, width: int) -> list[str]:
    """Return *text* folded into lines of *width* columns between its words; 0 means no limit."""
    if not width or len(text) <= width:
        return [text]
    return wrap(text, width, break_on_hyphens=False, break_long_words=False)


def _style(text: str, style: str) -> str:
    if not style or not text:
        return text
    look: dict[str, Any] = {style: True} if style in ATTRIBUTES else {"fg": style}
    return click.style(text, **look)

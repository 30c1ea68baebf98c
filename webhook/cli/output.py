"""Output for people and for programs.

On a terminal text is coloured, and folded into its width. Into a file or a pipe it
goes without colours, and no line is cut or folded, so that it can be searched.
"""

from __future__ import annotations

import io
import os
import sys
from difflib import unified_diff
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["OUTPUTS", "listing", "output_option", "show", "show_json", "show_records", "unified"]

OUTPUTS: Final = ("table", "json")

# Wider than any line: the width of what is no terminal.
UNLIMITED: Final = 100_000


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--output``."""
    return click.option(
        "--output",
        "-o",
        type=click.Choice(OUTPUTS),
        default=OUTPUTS[0],
        show_default=True,
        help="For people, or for programs.",
    )(command)


def listing(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """Return a table with a heading.

    Args:
        columns: The headings.
        rows: The cells of each row.
    """
    from rich.table import Table  # noqa: PLC0415 - only where something is shown
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def show(*renderables: RenderableType) -> None:
    """Write to standard output, for people."""
    from rich.console import Console  # noqa: PLC0415 - as above

    terminal = sys.stdout.isatty()
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        force_terminal=terminal or None,
        width=None if terminal else UNLIMITED,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for renderable in renderables:
        console.print(renderable)
    text = "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
    encoding = sys.stdout.encoding
    click.echo(text.encode(encoding, "replace").decode(encoding))


def show_json(value: Any) -> None:
    """Write *value* to standard output as JSON, in UTF-8 wherever it goes (RFC 8259)."""
    import json  # noqa: PLC0415 - most of what is shown is for people

    # Arguments that are not UTF-8 have lone surrogates, for which JSON has this escape.
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo(text.encode(errors="backslashreplace"))


INDENT: Final = "  "

# Of what is left of a narrow terminal; a text in one column is none.
LEAST: Final = 8

ATTRIBUTES: Final = frozenset({"bold", "dim"})


def show_records(
    rows: Sequence[tuple[str, str, str]], *, title: str = "", indent: str = INDENT
) -> None:
    """Write indented lines, each with a word for what it is.

    On a terminal they are coloured, and folded into its width.

    Args:
        rows: The word, its style (``bold``, ``dim``, a colour or nothing), and the text.
        title: What they are about, on a line above them; empty for none.
        indent: What they begin with.
    """
    terminal = sys.stdout.isatty()
    width = terminal_width() if terminal else 0
    lines = [click.style(line, bold=True) for line in folded(title, width)]
    lines += record_lines(rows, width, indent)
    encoding = sys.stdout.encoding
    text = "\n".join(lines).encode(encoding, "replace").decode(encoding)
    coloured = terminal and not os.environ.get("NO_COLOR")
    click.echo(text, color=coloured)


def record_lines(rows: Sequence[tuple[str, str, str]], width: int, indent: str) -> Iterator[str]:
    """Yield the lines of records.

    Args:
        rows: As `show_records`.
        width: The width that they are folded into; 0 for any.
        indent: What they begin with.
    """
    column = max((len(word) for word, _, _ in rows), default=0)
    before = len(indent) + column + len(INDENT)
    room = max(width - before, LEAST) if width else 0
    for word, style, text in rows:
        first, *others = folded(text, room) or [""]
        head = f"{styled(word, style)}{' ' * (column - len(word))}"
        yield f"{indent}{head}{INDENT}{first}".rstrip()
        yield from (f"{' ' * before}{line}" for line in others)


def folded(text: str, width: int) -> list[str]:
    """Return the lines of a text in so many columns; 0 are as many as it takes."""
    if not width:
        return [text] if text else []
    from textwrap import wrap  # noqa: PLC0415 - as below

    return wrap(text, width, break_on_hyphens=False)


def terminal_width() -> int:
    """Return how many columns the terminal has."""
    from shutil import get_terminal_size  # noqa: PLC0415 - where no terminal is, time counts

    return get_terminal_size().columns


def styled(word: str, style: str) -> str:
    """Return a word in its style."""
    if not style:
        return word
    look: dict[str, Any] = {style: True} if style in ATTRIBUTES else {"fg": style}
    return click.style(word, **look)


STYLES: Final = {"+": "green", "-": "red", "@": "cyan"}


def unified(before: str, after: str, name: str) -> Iterator[tuple[str, str | None]]:
    """Yield the lines of a unified diff, each with its colour.

    Args:
        before: The old text.
        after: The new one.
        name: The file's name.
    """
    old, new = (text.split("\n") for text in (before, after))
    lines = unified_diff(old, new, f"a/{name.lstrip('/')}", f"b/{name.lstrip('/')}", lineterm="")
    for line in lines:
        yield line, STYLES.get(line[:1])

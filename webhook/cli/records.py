"""Lines of a word and a text, for people: what most commands show of each thing.

They are written without a library for tables: that would take longer to be imported than
the rest of a command takes.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["show_records"]

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

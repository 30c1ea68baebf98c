"""Output for people and for programs.

On a terminal text is coloured, and folded into its width. Into a file or a pipe it
goes without colours, and no line is cut or folded, so that it can be searched.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["OUTPUTS", "listing", "output_option", "show", "show_json"]

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

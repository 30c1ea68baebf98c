"""What `mirrorhook pull` tells: while it works, of each image, and in the end."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.explain import printable
from webhook.cli.records import show_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from webhook.cli.pulling.puller import Result

__all__ = ["as_object", "show_result", "show_summary", "working"]

TURNS: Final = "-\\|/"
FRAMES_A_SECOND: Final = 8


@contextmanager
def working(title: str) -> Iterator[Callable[[str, str], None]]:
    """Show, on a terminal, what is being done until the end of the block.

    Args:
        title: Which image of how many.

    Yields:
        What to tell the name that is being pulled, and the engine's last words.
    """
    if not sys.stdout.isatty():
        yield lambda _source, _line: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where something is shown
    from rich.live import Live  # noqa: PLC0415 - as above

    began = time.monotonic()
    words = ["", ""]

    def heard(source: str, said: str) -> None:
        words[:] = source, said

    with Live(
        console=Console(highlight=False, markup=False, emoji=False),
        get_renderable=lambda: doing(title, time.monotonic() - began, *words),
        refresh_per_second=FRAMES_A_SECOND,
        transient=True,
    ):
        yield heard


def doing(title: str, seconds: float, source: str, said: str) -> RenderableType:
    """Return two lines, to be cut to the width of the terminal."""
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    turn = TURNS[int(seconds * FRAMES_A_SECOND) % len(TURNS)]
    minutes, rest = divmod(int(seconds), 60)
    clock = f"{turn} {minutes}:{rest:02}  {printable(title)}"
    words = f"  {source}  {printable(said)}"
    return Group(
        Text(clock, no_wrap=True, overflow="crop"),
        Text(words, "dim", no_wrap=True, overflow="crop"),
    )


def show_result(result: Result) -> None:
    """Write the line of an image, and on standard error what else is to be known of it."""
    image = printable(result.order.image)
    if result.is_pulled:
        show_records([("pulled", "green", f"{image} from {result.source}")], indent="")
        for failure in result.failures:
            error = printable(failure.error)
            click.echo(f"Note: {image}: {failure.source} failed: {error}", err=True)
    else:
        error = result.failures[-1].error
        show_records([("failed", "red", f"{image}: {printable(error)}")], indent="")
    for note in result.notes:
        click.echo(f"Note: {image}: {printable(note)}", err=True)


def show_summary(results: Sequence[Result], engine: str) -> None:
    """Write to standard error which images were not pulled, and each reason.

    Args:
        results: All of them.
        engine: The engine's name.
    """
    failed = [result for result in results if not result.is_pulled]
    if not failed:
        return
    lines = [f"Error: {len(failed)} of {len(results)} images not pulled by {engine}:"]
    for result in failed:
        lines.append(f"  {printable(result.order.image)}")
        lines += [f"    {printable(str(failure))}" for failure in result.failures]
    click.echo("\n".join(lines), err=True)


def as_object(result: Result) -> dict[str, Any]:
    """Return a result with the keys that ``--output json`` promises."""
    return {
        "image": printable(result.order.image),
        "status": "pulled" if result.is_pulled else "failed",
        "source": result.source,
        "names": list(result.names),
        "reason": result.order.reason,
        "failures": [
            {"source": failure.source or None, "error": failure.error}
            for failure in result.failures
        ],
        "notes": list(result.notes),
    }

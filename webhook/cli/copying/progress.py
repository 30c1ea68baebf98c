"""How far `mirrorhook copy` is, as a bar on a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from webhook.cli.copying.report import show_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress

    from webhook.transfer import Result

__all__ = ["Meter", "meter"]


class Meter:
    """Counts images and bytes, and tells each image when it is done.

    Args:
        bar: The bar.
        total: How many images there are.
        is_told: Whether each image is told.
    """

    def __init__(self, bar: Progress, total: int, *, is_told: bool) -> None:
        self._bar = bar
        self._total = total
        self._is_told = is_told
        self._bytes = 0
        self._task = bar.add_task("", total=0)
        self.done = 0
        self._describe()

    def planned(self, size: int) -> None:
        """Note that blobs of so many bytes have to be at the target."""
        self._bytes += size
        self._bar.update(self._task, total=self._bytes)

    def moved(self, size: int) -> None:
        """Note that so many bytes are; less than 0 if they have to come again."""
        self._bar.advance(self._task, size)

    def ended(self, result: Result) -> None:
        """Note what became of an image."""
        self.done += 1
        self._describe()
        if self._is_told:
            show_result(result)

    def _describe(self) -> None:
        words = f"Copying images {self.done}/{self._total}"
        self._bar.update(self._task, description=words)


@contextmanager
def meter(total: int, *, is_told: bool) -> Iterator[Meter]:
    """Give a meter, with a bar on standard error if that is a terminal; it goes at the end."""
    from rich.console import Console  # noqa: PLC0415 - only where something is shown
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        DownloadColumn,
        TextColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar  # noqa: PLC0415 - as above

    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
        # What goes into a pipe must not be taken to the terminal.
        redirect_stdout=sys.stdout.isatty(),
        disable=not sys.stderr.isatty(),
    ) as bar:
        yield Meter(bar, total, is_told=is_told)

"""Where rewritten manifests go, part by part: standard output, or the files they are from."""

from __future__ import annotations

from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webhook.cli.rewriting.sources import Source
    from webhook.manifests import Rewritten

__all__ = ["Stream", "write_in_place"]


class Stream:
    """Several files as one stream of documents.

    Args:
        output: Where it goes.
    """

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self._last = b""

    def take(self, source: Source, parts: Iterable[Rewritten]) -> Iterator[Rewritten]:
        """Write what becomes of a file, and hand its parts on."""
        self._begin(source)
        for part in parts:
            self._write(part.content)
            yield part

    def _begin(self, source: Source) -> None:
        """Part the file that follows from those before it."""
        if self._last and self._last != b"\n":
            self._write(b"\n")
        if self._last and not next(source.blocks(), b"").startswith((b"---", b"%")):
            self._write(b"---\n")

    def _write(self, content: bytes) -> None:
        """Write the next part."""
        self._output.write(content)
        self._last = content[-1:] or self._last


def write_in_place(source: Source, parts: Iterable[Rewritten]) -> Iterator[Rewritten]:
    """Write a file if it changes, as a whole or not at all, and tell it.

    Args:
        source: The file.
        parts: What becomes of it; they are handed on.
    """
    from webhook.cli.files import replacing  # noqa: PLC0415 - for this option only

    assert source.path is not None  # noqa: S101 - standard input is refused before
    count = unchanged = 0
    file: IO[bytes] | None = None
    try:
        with ExitStack() as stack:
            for part in parts:
                changes = sum(image.changes for image in part.images)
                if changes and file is None:
                    file = stack.enter_context(replacing(source.path))
                    copy_beginning(source, unchanged, file)
                if file is not None:
                    file.write(part.content)
                unchanged += len(part.content)
                count += changes
                yield part
    except OSError as error:
        raise click.FileError(source.name, error.strerror) from None
    if count:
        noun = "image" if count == 1 else "images"
        click.echo(f"{source.name}: {count} {noun} rewritten", err=True)


def copy_beginning(source: Source, size: int, file: IO[bytes]) -> None:
    """Copy so many bytes of a file."""
    for block in source.blocks():
        file.write(block[:size])
        size -= len(block)
        if size <= 0:
            return

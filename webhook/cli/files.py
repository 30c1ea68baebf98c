"""Reading manifests from files and standard input, and replacing files as a whole."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["STDIN", "Source", "replace", "replacing", "sources"]


def replace(path: Path, content: bytes) -> None:
    """Replace what is in a file; its mode and owner stay, and links to it.

    Args:
        path: The file, or a symbolic link to it.
        content: What is to be in it.

    Raises:
        OSError: It cannot be written; it is as it was then.
    """
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write to, which takes the place of another when all is written.

    As with `replace`, and on any error the other stays.

    Args:
        path: The file, or a symbolic link to it.
    """
    target = path.resolve()
    status = target.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        shutil.copymode(target, name)
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(name, status.st_uid, status.st_gid)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


STDIN: Final = "-"

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})

BLOCK: Final = 256 * 1024

# What Helm hands on is smaller nearly always; more than that goes to a file.
HELD: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """Manifests from one place, which can be read more than once.

    Attributes:
        name: What messages call it.
        path: The file; None for standard input.
        copy: What came in on standard input, or a pipe.
    """

    name: str
    path: Path | None
    copy: IO[bytes] | None = None

    def blocks(self) -> Iterator[bytes]:
        """Yield its bytes, from the beginning, so that none of them has to be held."""
        if self.copy is not None:
            self.copy.seek(0)
            yield from blocks_of(self.copy)
        elif self.path is not None:
            try:
                with self.path.open("rb") as file:
                    yield from blocks_of(file)
            except OSError as error:
                raise click.FileError(self.name, error.strerror) from None

    @property
    def content(self) -> bytes:
        """All of its bytes."""
        return b"".join(self.blocks())


def blocks_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what is left of a file."""
    while block := file.read(BLOCK):
        yield block


def sources(files: tuple[Path, ...]) -> Iterator[Source]:
    """Yield the manifests, a folder's files in the order of their names."""
    for path in files or (Path(STDIN),):
        if path == Path(STDIN):
            yield Source("standard input", None, kept(sys.stdin.buffer))
            continue
        found = sorted(manifests_in(path)) if path.is_dir() else [path]
        if not found:
            told = ", ".join(sorted(SUFFIXES))
            click.echo(f"Warning: {path} has no {told} file", err=True)
        for file in found:
            yield of_file(file)


def of_file(path: Path) -> Source:
    """Return the manifests in a file; a pipe is read now, since it can be read once only."""
    if path.is_file():
        return Source(str(path), path)
    try:
        with path.open("rb") as pipe:
            return Source(str(path), path, kept(pipe))
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from None


def kept(stream: IO[bytes]) -> IO[bytes]:
    """Return what comes in on a stream as a file, to read it as often as it takes."""
    head = stream.read(HELD)
    if len(head) < HELD:
        return io.BytesIO(head)
    try:
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the context closes it
    except OSError:
        file = io.BytesIO()  # there is no folder for such files
    copy = click.get_current_context().with_resource(file)
    try:
        copy.write(head)
        shutil.copyfileobj(stream, copy, BLOCK)
    except OSError as error:
        raise click.FileError("standard input", error.strerror) from None
    return copy


def manifests_in(folder: Path) -> Iterator[Path]:
    """Yield the manifests below *folder*, save those that are hidden."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.suffix in SUFFIXES and not hidden and path.is_file():
            yield path

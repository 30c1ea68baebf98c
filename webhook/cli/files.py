"""Manifests in files, folders and on standard input; and replacing a file as a whole."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn

import click

from webhook.cli.options import open_stdin

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["STDIN", "ManifestSource", "find_manifests", "replace_file"]

STDIN: Final = Path("-")
SUFFIXES: Final = (".json", ".yaml", ".yml")
BLOCK: Final = 256 * 1024
# Nearly all that Helm sends is smaller; what is larger goes to a temporary file.
HELD: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """Manifests of one file or of standard input, which can be read more than once.

    Attributes:
        name: What messages call it.
        path: The file; None for standard input.
        copy: What came from standard input or a pipe.
    """

    name: str
    path: Path | None
    copy: IO[bytes] | None = None

    def blocks(self) -> Iterator[bytes]:
        """Yield its bytes from the beginning, block by block, so that memory stays small."""
        if self.copy is not None:
            self.copy.seek(0)
            yield from _blocks(self.copy)
        elif self.path is not None:
            try:
                with self.path.open("rb") as file:
                    yield from _blocks(file)
            except OSError as error:
                raise click.FileError(self.name, error.strerror) from None

    @property
    def content(self) -> bytes:
        """All of its bytes."""
        return b"".join(self.blocks())


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def find_manifests(paths: tuple[Path, ...], *, to_write: bool = False) -> Iterator[ManifestSource]:
    """Yield the manifests of files, of folders in the order of their names, and of ``-``.

    Args:
        paths: Files, folders and `STDIN`; without any, standard input is read.
        to_write: Whether they will be written: links that lead out of a folder are left out.
    """
    for path in paths or (STDIN,):
        if path == STDIN:
            yield ManifestSource("standard input", None, _copy(open_stdin("manifests")))
            continue
        files = sorted(_find_files(path)) if path.is_dir() else [path]
        if not files:
            click.echo(f"Warning: {path} contains no .json, .yaml or .yml file", err=True)
        folder = path.resolve()
        for file in files:
            if to_write and file != path and not file.resolve().is_relative_to(folder):
                click.echo(
                    f"Warning: {file} is unchanged: it is a link that leads out of {path}; "
                    "to rewrite it, name it on the command line",
                    err=True,
                )
            else:
                yield _open_file(file)


def _find_files(folder: Path) -> Iterator[Path]:
    """Yield the manifests below *folder*, without hidden files and folders."""
    for parent, folders, names in os.walk(folder, onerror=_fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if path.suffix not in SUFFIXES or name.startswith("."):
                continue
            if path.is_file() or not path.exists():  # a link to nothing is an error when it is read
                yield path
            else:
                click.echo(f"Warning: {path} is not a regular file: it is skipped", err=True)


def _fail(error: OSError) -> NoReturn:
    raise click.FileError(str(error.filename), error.strerror)


def _open_file(path: Path) -> ManifestSource:
    """Return the manifests in a file; a pipe is read at once, since it can be read once only."""
    if path.is_file():
        return ManifestSource(str(path), path)
    try:
        with path.open("rb") as pipe:
            return ManifestSource(str(path), path, _copy(pipe))
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from None


def _copy(stream: IO[bytes]) -> IO[bytes]:
    """Return the content of a stream as a file that can be read again."""
    head = stream.read(HELD)
    if len(head) < HELD:
        return io.BytesIO(head)
    try:
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the context closes it
    except OSError:
        file = io.BytesIO()  # no folder for temporary files
    copy = click.get_current_context().with_resource(file)
    try:
        copy.write(head)
        shutil.copyfileobj(stream, copy, BLOCK)
    except OSError as error:
        raise click.FileError("standard input", error.strerror) from None
    return copy


@contextmanager
def replace_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write to, which replaces *path* when the block ends.

    Mode and owner stay, and so do symbolic links to it. On any error *path* is unchanged.

    Args:
        path: A file that exists, or a symbolic link to one.

    Raises:
        OSError: It cannot be written.
    """
    target = path.resolve()
    status = target.stat()
    # The name is known before the file exists, so that a signal at any time leaves none behind.
    fresh = target.with_name(f".mirrorhook-{secrets.token_hex(8)}")
    try:
        fresh.touch(0o600, exist_ok=False)
        with fresh.open("wb") as file:
            yield file
        shutil.copymode(target, fresh)
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(fresh, status.st_uid, status.st_gid)
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise

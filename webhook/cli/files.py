"""Writing a file as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["replace", "replacing"]


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

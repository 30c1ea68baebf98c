"""PEM in files that are on no disk: OpenSSL takes certificates from files only."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["pem_file"]

MEMORY_FILES: Final = hasattr(os, "memfd_create") and Path("/proc/self/fd").exists()


@contextmanager
def pem_file(content: bytes, *, in_memory: bool = MEMORY_FILES) -> Iterator[str]:
    """Give a file of this user alone, for as long as it is needed.

    Args:
        content: What is to be in it.
        in_memory: Take a file in memory: the root of a container may be read-only.
    """
    if in_memory:
        descriptor = os.memfd_create("certificate")
        path = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
            file.flush()
            yield path
    finally:
        if not in_memory:
            Path(path).unlink()

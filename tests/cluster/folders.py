"""Folders of clusters, of which none outlives its test for long."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["PREFIX", "folder_of_a_cluster", "sweep"]

PREFIX = "mirrorhook-cluster-"


@contextmanager
def folder_of_a_cluster() -> Iterator[Path]:
    """Make a folder until the end of the block, and remove what others could not remove."""
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def sweep() -> None:
    """Remove the folders of processes that are no more, as after a SIGKILL."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)

"""Folders of clusters, which are removed with their tests or soon after."""

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
    """Create a folder until the end of the block, and remove folders of earlier tests."""
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def sweep() -> None:
    """Remove the folders of test processes that have ended, for example by SIGKILL."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)

"""A control group for the Pods of a node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.folders import PREFIX
from tests.cluster.processes import until

__all__ = ["control_group"]

ROOT = Path("/sys/fs/cgroup")


@contextmanager
def control_group(name: str) -> Iterator[str]:
    """Create a control group until the end of the block, and yield its path for a kubelet."""
    folders = places(name)
    sweep()
    try:
        for folder in folders:
            folder.mkdir()
            # In cgroup v1, a group without these settings cannot contain processes.
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if (folder / "tasks").exists() and (folder / setting).exists():
                    (folder / setting).write_text((folder.parent / setting).read_text())
        yield f"/{name}"
    finally:
        for folder in folders:
            until(lambda folder=folder: removed(folder), f"the end of {folder}")


def sweep() -> None:
    """Remove the control groups of test processes that have ended, for example by SIGKILL."""
    for folder in (found for place in places(PREFIX) for found in place.parent.glob(f"{PREFIX}*")):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            removed(folder)


def places(name: str) -> list[Path]:
    """Return the folders of a group: one for each controller in v1, a single one in v2."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT / name]
    return [mount / name for mount in ROOT.iterdir() if (mount / "cgroup.procs").exists()]


def removed(folder: Path) -> bool:
    """Remove a group and its subgroups. Return False if a process in it is still running."""
    for path in sorted(folder.glob("**/"), reverse=True):
        try:
            path.rmdir()
        except OSError:
            return False
    return True

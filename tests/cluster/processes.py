"""Processes that end with the test, whatever happens to it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

__all__ = ["Processes", "until"]

PATIENCE = 90.0
LAST = 15

# The kernel ends the child when its parent ends, even if nobody could tell it to.
TIED = ("setpriv", "--pdeathsig", "KILL", "--")


class Processes:
    """The processes of one cluster.

    Args:
        logs: Folder for what they write.
        inside: Command that takes another one to where the cluster is.
    """

    def __init__(self, logs: Path, inside: tuple[str, ...] = ()) -> None:
        self.logs = logs
        self.inside = inside
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str | Path, **options) -> subprocess.Popen[bytes]:
        """Start a process, whose log has its name."""
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*TIED, *self.inside, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )
        self.running[name] = process
        return process

    def wait(self, what: str, condition, seconds: float = PATIENCE) -> None:
        """Wait for something, unless a process ends before."""

        def met():
            for name, process in self.running.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended, waiting for {what}:\n{self.tail(name)}")
            return condition()

        until(met, what, seconds)

    def tail(self, name: str) -> str:
        """Return the last lines of a log."""
        lines = (self.logs / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-LAST:])

    def end(self, *names: str) -> None:
        """End processes, or all; nothing here is worth a graceful end."""
        ending = [self.running.pop(name) for name in names or tuple(self.running)]
        for process in ending:
            process.kill()
        for process in ending:
            process.wait()


def until(condition, what: str = "the condition", seconds: float = PATIENCE):
    """Wait for something to become true, and return it."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)

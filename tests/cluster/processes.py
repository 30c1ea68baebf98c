"""Processes that end with the test, even if it crashes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

__all__ = ["Processes", "until"]

# Three times what the slowest waits take on a machine of two cores.
PATIENCE = 180.0
LAST = 15

# The kernel kills the child when its parent ends.
TIED = ("setpriv", "--pdeathsig", "KILL", "--")


class Processes:
    """The processes of one cluster.

    Args:
        logs: Folder for their logs.
        inside: Command prefix that runs a command in the namespaces of the cluster.
    """

    def __init__(self, logs: Path, inside: tuple[str, ...] = ()) -> None:
        self.logs = logs
        self.inside = inside
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._started: dict[str, tuple[tuple[str | Path, ...], dict[str, Any]]] = {}

    def start(self, name: str, *command: str | Path, **options) -> subprocess.Popen[bytes]:
        """Start a process that writes to a log of the same name."""
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
        self._started[name] = command, options
        return process

    def start_again(self, name: str) -> subprocess.Popen[bytes]:
        """Start a process that has ended as it was started before."""
        command, options = self._started[name]
        return self.start(name, *command, **options)

    def wait(self, what: str, condition, seconds: float = PATIENCE) -> None:
        """Wait until a condition is true, and fail if a process ends before."""

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
        """Kill some processes, or all."""
        ending = [self.running.pop(name) for name in names or tuple(self.running)]
        for process in ending:
            process.kill()
        for process in ending:
            process.wait()


def until(condition, what: str = "the condition", seconds: float = PATIENCE):
    """Wait until a condition is true, and return its value."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)

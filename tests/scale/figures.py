"""What processes and the API server spend."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from tests.cluster.api import LABEL, METRIC
from tests.cluster.control_plane import ControlPlane

__all__ = ["Meter", "Scrape", "read_memory", "read_seconds"]

TICKS = os.sysconf("SC_CLK_TCK")
PAUSE = 2.0


def read_memory(pid: int) -> float:
    """Return the memory that a process holds, in MiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def read_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Meter:
    """Watches the memory of processes.

    Args:
        pids: The processes by name.

    Attributes:
        most: The most memory of each so far, in MiB.
        total: The most of all together.
    """

    def __init__(self, pids: dict[str, int]) -> None:
        self.pids = pids
        self.most = Counter[str]()
        self.total = 0.0
        self._stopping = Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()

    def seconds(self) -> dict[str, float]:
        """Return the processor time of each so far."""
        return {name: read_seconds(pid) for name, pid in self.pids.items()}

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(PAUSE):
            now = {name: read_memory(pid) for name, pid in dict(self.pids).items()}
            for name, memory in now.items():
                self.most[name] = max(self.most[name], round(memory))
            self.total = max(self.total, sum(now.values()))


@dataclass
class Scrape:
    """The metrics of the API server at one moment.

    Attributes:
        plane: The cluster.
        at: When, by `time.monotonic`.
        values: The series, each with its name and its labels.
    """

    plane: ControlPlane
    at: float = field(default_factory=time.monotonic)
    values: list[tuple[str, dict[str, str], float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        text = self.plane.api.ask("GET", "/metrics").text
        for name, labels, value in METRIC.findall(text):
            self.values.append((name, dict(LABEL.findall(labels)), float(value)))

    def sum(self, name: str, /, **labels: str) -> float:
        """Return the sum of the series of a metric that have some labels."""
        return sum(
            value
            for found, given, value in self.values
            if found == name and labels.items() <= given.items()
        )

    def mean_since(self, before: Scrape, name: str, /, **labels: str) -> float:
        """Return the mean of a histogram since another scrape, in milliseconds."""
        spent = self.sum(f"{name}_sum", **labels) - before.sum(f"{name}_sum", **labels)
        count = self.sum(f"{name}_count", **labels) - before.sum(f"{name}_count", **labels)
        return 1000 * spent / count if count else 0.0

    def share_within(self, before: Scrape, seconds: str, name: str, /, **labels: str) -> float:
        """Return which share of a histogram was within a bucket, since another scrape."""
        bucket = {"le": seconds} | labels
        within = self.sum(f"{name}_bucket", **bucket) - before.sum(f"{name}_bucket", **bucket)
        count = self.sum(f"{name}_count", **labels) - before.sum(f"{name}_count", **labels)
        return within / count if count else 0.0

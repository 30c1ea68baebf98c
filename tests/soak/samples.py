"""What a process holds and how fast it answers, over time, and whether that grows."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BOUNDS", "Bound", "Growth", "Sample", "find_growth", "read_seconds", "take_sample"]

TICKS = os.sysconf("SC_CLK_TCK")
# Caches and histories are full after a quarter of an hour with this traffic.
WARM_UP = 0.25
WINDOWS = 3


@dataclass(frozen=True)
class Sample:
    """What was seen at one moment.

    Attributes:
        minute: When, in minutes since the start.
        memory: Resident memory, in MiB.
        descriptors: Open file descriptors.
        to_mirror: Those of them that are connections to the mirror.
        threads: Threads.
        median: Milliseconds that half of the reviews since the last sample took at most.
        worst: Milliseconds that 99 % of them took at most.
        rate: Reviews a second since the last sample.
        cost: Processor time of the webhook for each of them, in microseconds.
    """

    minute: float
    memory: float
    descriptors: int
    to_mirror: int
    threads: int
    median: float
    worst: float
    rate: float
    cost: float


@dataclass(frozen=True)
class Bound:
    """How much of something may come after the warm-up.

    Attributes:
        name: What it is.
        value: Returns it.
        factor: The last window has at most so many times what the first one had.
        more: And so much more.
        unit: Its unit.
    """

    name: str
    value: Callable[[Sample], float]
    factor: float
    more: float
    unit: str

    def format_value(self, value: float) -> str:
        """Return a value with its unit."""
        return f"{value:,.1f} {self.unit}".strip()


@dataclass(frozen=True)
class Growth:
    """The medians of the first and of the last window, and the most that the last one may have."""

    bound: Bound
    first: float
    last: float
    most: float

    @property
    def holds(self) -> bool:
        return self.last <= self.most


BOUNDS = (
    # Results of failed checks take up to 6 MiB, and come only while a mirror fails. A full
    # collection of garbage is rare, and the allocator keeps what the largest storm needed.
    Bound("memory", lambda sample: sample.memory, 1.1, 0, "MiB"),
    Bound(
        "file descriptors, others",
        lambda sample: sample.descriptors - sample.to_mirror,
        *(1.1, 5, ""),
    ),
    # As many checks as one registry gets at once.
    Bound("connections to the mirror", lambda sample: sample.to_mirror, 0, 64, ""),
    Bound("threads", lambda sample: sample.threads, 1, 1, ""),
    Bound("processor for each review", lambda sample: sample.cost, 1.2, 0, "µs"),
    # Other work of the machine is in these two, so they are only roughly alike.
    Bound("latency, 50 %", lambda sample: sample.median, 1.5, 1, "ms"),
    Bound("latency, 99 %", lambda sample: sample.worst, 2, 20, "ms"),
)


def find_growth(samples: Sequence[Sample]) -> Iterator[Growth]:
    """Compare the medians of the first and of the last third after the warm-up."""
    begin = samples[-1].minute * WARM_UP
    warm = [sample for sample in samples if sample.minute >= begin]
    size = len(warm) // WINDOWS
    if not size:
        raise ValueError(f"{len(samples)} samples are too few for {WINDOWS} windows")
    for bound in BOUNDS:
        first, last = (
            statistics.median(map(bound.value, window)) for window in (warm[:size], warm[-size:])
        )
        yield Growth(bound, first, last, first * bound.factor + bound.more)


def take_sample(
    pid: int,
    minute: float,
    latencies: Sequence[float],
    rate: float,
    cost: float,
    to_mirror: int,
) -> Sample:
    """Return a sample of a process.

    Args:
        pid: The process.
        minute: Minutes since the start.
        latencies: Seconds of reviews since the last sample.
        rate: Reviews a second since then.
        cost: Processor time for each of them, in microseconds.
        to_mirror: Connections to the mirror.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    values = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    ordered = sorted(latencies)
    return Sample(
        minute=minute,
        memory=int(values["VmRSS"].split()[0]) / 1024,
        descriptors=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        to_mirror=to_mirror,
        threads=int(values["Threads"]),
        median=statistics.median(ordered) * 1000,
        worst=ordered[int(len(ordered) * 0.99)] * 1000,
        rate=rate,
        cost=cost,
    )


def read_seconds(pid: int) -> float:
    """Return the processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS

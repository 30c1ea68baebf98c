"""How long processes take to start, and what they hold after a million reviews."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from tests.bench.contest import NEW, RULES, USUAL, Bound
from tests.bench.contestants import ENVIRONMENT, Field, make_rules
from tests.bench.load import Case, Load
from tests.server.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bench.contestants import Contestant

__all__ = ["commands", "measure_memory", "measure_start"]

STARTS: Final = 7
FIRST: Final = 100_000
MILLION: Final = 1_000_000
# A few connections, as a cluster's API servers keep them: each holds a buffer of its own.
CONNECTIONS: Final = 4
SECONDS: Final = 5
MEGABYTE: Final = 1_000_000


def measure_start(folder: Path) -> Iterator[Bound]:
    """Yield how long the webhook takes until it is ready."""
    times = []
    for number in range(STARTS):
        with ExitStack() as stack:
            name = f"start-{number}"
            times.append(Field(folder, stack).start_webhook(name, make_rules(RULES)).ready)
    yield Bound(f"ready, the best of {STARTS} starts", min(times) * 1000, 900, "ms")


def commands(folder: Path) -> Iterator[Bound]:
    """Yield how long commands take whose answer is looked at."""
    rules = folder / "commands.yaml"
    rules.write_text("rules: [{match: docker.io, mirrors: [mirror.example.com/hub]}]\n")
    for arguments, most in (
        (["--help"], 100),
        (["explain", "nginx:1.27", "--config", str(rules)], 150),
    ):
        best = min(seconds_of(arguments) for _ in range(STARTS))
        yield Bound(f"mirrorhook {arguments[0]}, the best", best * 1000, most, "ms")


def seconds_of(arguments: list[str]) -> float:
    """Run a command, and return how long it took."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "webhook", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def measure_memory(folder: Path, report: Callable[[str], None]) -> Iterator[Bound]:
    """Yield what a million reviews leave behind, where images repeat, and where all are new."""
    load = Load(folder)
    # Where every image is new, the history of the console fills its 20 MiB.
    for name, case, most in (("images repeat", USUAL, 75), ("every image new", NEW, 102)):
        few = Case(case.name, case.body, CONNECTIONS, new=case.new)
        with ExitStack() as stack:
            ours = Field(folder, stack).start_webhook("memory", make_rules(RULES))
            asked = until(FIRST, 0, ours, load, few)
            early = ours.resident()
            while asked < MILLION:
                report(f"{name}: {asked:,} of {MILLION:,} reviews")
                asked = until(asked + FIRST, asked, ours, load, few)
            late = ours.resident()
        megabytes = late / MEGABYTE
        yield Bound(f"memory after {asked:,} reviews, {name}", megabytes, most, "MB")
        yield Bound(f"to that after the first {FIRST:,}", late / early, 1.05)


def until(count: int, asked: int, ours: Contestant, load: Load, case: Case) -> int:
    """Send reviews until *count* are answered, and return how many were."""
    while asked < count:
        asked += load.run(ours, case, SECONDS).reviews
    return asked

"""Fuzz everything that reads what others write, and report counts: `make fuzz` runs it.

Each target runs in a process of its own, guided by coverage (libFuzzer, by way of atheris). What it
learns stays in ``.cache/fuzz``, so that the next run goes on from there. ``http`` sends random
streams to a listener over real sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import uvloop

from tests.fuzz.streams import fuzz_streams
from tests.fuzz.targets import CORPUS, SEEDS, TARGETS

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "fuzz"
WORDS = Path(__file__).with_name("words.dict")
STREAMS = "http"
MAX_LENGTH = 8192
# One input must not take longer.
UNIT_SECONDS = 20
UNITS = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
COVERAGE = re.compile(r"\bcov: (\d+)")


@dataclass(frozen=True)
class Report:
    """What became of one target.

    Attributes:
        name: The target.
        count: How often it ran.
        seconds: How long that took.
        coverage: Branches that were reached; None if that is not measured.
        findings: Where each input is that failed, and why.
    """

    name: str
    count: int
    seconds: float
    coverage: int | None
    findings: tuple[tuple[Path, str], ...]


def fuzz_target(name: str, options: argparse.Namespace, seconds: float) -> Report:
    """Run a target under libFuzzer."""
    corpus, found = CACHE / name, CACHE / "findings"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    before = {*found.glob(f"{name}-*")}
    command = [sys.executable, "-m", "tests.fuzz.worker", name]
    command += [f"-artifact_prefix={found}/{name}-", "-print_final_stats=1"]
    command += [
        f"-dict={WORDS}",
        f"-max_len={MAX_LENGTH}",
        f"-timeout={UNIT_SECONDS}",
        f"-seed={options.seed}",
    ]
    if options.executions:
        command.append(f"-runs={options.executions}")
    else:
        command.append(f"-max_total_time={max(1, round(seconds))}")
    command += [str(corpus), str(CORPUS / name), *map(str, SEEDS.get(name, ()))]
    begin = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False
    )
    text = done.stdout + done.stderr
    findings = [(path, find_error(text)) for path in sorted({*found.glob(f"{name}-*")} - before)]
    if done.returncode and not findings:
        findings = [(corpus, f"the process ended with {done.returncode}: {text[-1000:]}")]
    count = UNITS.search(text)
    return Report(
        name,
        int(count[1]) if count else 0,
        time.monotonic() - begin,
        max(map(int, COVERAGE.findall(text)), default=0),
        tuple(findings),
    )


def find_error(text: str) -> str:
    """Return the exception in the output of a worker, or its summary."""
    _, mark, rest = text.partition("Uncaught Python exception")
    lines = [line for line in (rest if mark else text).splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"\w*(Error|Exception|Fault)\b|SUMMARY", line)]
    return (errors or lines or ["no output"])[0][:500]


def fuzz_http(options: argparse.Namespace, seconds: float) -> Report:
    """Send random streams over real sockets."""
    begin = time.monotonic()
    limit = {"executions": options.executions} if options.executions else {"seconds": seconds}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        counts = runner.run(fuzz_streams(seed=options.seed, **limit))
    findings = []
    for stream, reason in counts.findings:
        path = CACHE / "findings" / f"http-{sha256(stream).hexdigest()[:16]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream)
        findings.append((path, reason))
    return Report(STREAMS, counts.streams, time.monotonic() - begin, None, tuple(findings))


def read_options() -> argparse.Namespace:
    """Return the options of the command line."""
    names = [*TARGETS, STREAMS]
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(names))
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--executions", type=int, help="for each target, instead of a time")
    parser.add_argument("--jobs", type=int, default=2, help="how many targets run at once")
    parser.add_argument("--seed", type=int, default=0, help="0 for another one in each run")
    options = parser.parse_args()
    unknown = {*options.targets} - {*names}
    if unknown:
        parser.error(f"no target is named {', '.join(sorted(unknown))}: use {', '.join(names)}")
    options.targets = options.targets or names
    options.seed = options.seed or time.time_ns() % 1_000_000_007 + 1
    return options


def main() -> int:
    """Fuzz, and write a table."""
    options = read_options()
    if find_spec("atheris") is None:
        guided = [name for name in options.targets if name != STREAMS]
        if guided:
            print(f"atheris is not available here: {', '.join(guided)} not run", file=sys.stderr)
        options.targets = [name for name in options.targets if name == STREAMS]
    seconds = options.seconds * options.jobs / max(1, len(options.targets))
    print(f"seed {options.seed}", file=sys.stderr)
    with ThreadPoolExecutor(options.jobs) as threads:
        reports = threads.map(
            lambda name: (
                fuzz_http(options, seconds)
                if name == STREAMS
                else fuzz_target(name, options, seconds)
            ),
            options.targets,
        )
        print(f"{'TARGET':<10}{'RUNS':>13}{'RUNS/S':>9}{'SECONDS':>9}{'BRANCHES':>10}  FINDINGS")
        failed = False
        for each in reports:
            coverage = "" if each.coverage is None else each.coverage
            rate = each.count / each.seconds
            print(
                f"{each.name:<10}{each.count:>13,}{rate:>9,.0f}{each.seconds:>9,.0f}"
                f"{coverage:>10}  {len(each.findings) or 'none'}",
                flush=True,
            )
            for path, reason in each.findings:
                failed = True
                print(f"  {path.relative_to(ROOT)}: {reason}", flush=True)
    if failed:
        print(f"Copy each input to {CORPUS.relative_to(ROOT)}/TARGET: then it is a test.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

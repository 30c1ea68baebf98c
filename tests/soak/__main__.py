"""Runs the webhook for an hour under steady and stormy traffic, and fails if it grows.

python -m tests.soak [--seconds SECONDS] [--picture FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.server.process import Webhook, serving
from tests.soak.changes import Changes
from tests.soak.picture import Line, Panel, draw
from tests.soak.samples import Sample, find_growth, read_seconds, take_sample
from tests.soak.traffic import Traffic
from tests.tools.mirror import Mirror
from webhook.cli.output import show_table, show_text

PICTURE = Path(__file__).resolve().parents[2] / ".cache/soak.svg"
SAMPLES = 720
LEAST_SECONDS = 1.0
# Before that, caches still fill.
JUDGED_FROM = 1200.0
EXPECTED = {"rules refused, the old ones stay in use"}


@dataclass
class Soak:
    """What a run showed.

    Attributes:
        samples: In order.
        reviews: How many reviews were answered.
        changes: What changed meanwhile, and how often.
        certificates: The minutes when the certificate changed.
        problems: What should not have happened.
        used: Processor time of the webhook, and of this process, in seconds.
    """

    samples: list[Sample]
    reviews: int
    changes: dict[str, int]
    certificates: list[float]
    problems: list[str]
    used: tuple[float, float]


def run_soak(folder: Path, seconds: float) -> Soak:
    """Run the webhook for some time, and return what was seen."""
    changes = Changes(folder)
    changes.prepare()
    events = Counter[str]()
    problems: list[str] = []
    samples: list[Sample] = []
    with serving(changes.path, *changes.options) as webhook:
        traffic = Traffic(webhook, changes.trust)
        pid = webhook.process.pid
        start, own = time.monotonic(), time.process_time()
        began = read_seconds(pid)
        with traffic.running():
            changes.start()
            try:
                pause = max(LEAST_SECONDS, seconds / SAMPLES)
                while time.monotonic() < start + seconds:
                    samples.append(watch_for(webhook, traffic, changes.mirror, pause, start))
                    show_progress(samples, seconds)
                    problems += read_log(webhook, events)
            finally:
                changes.stop()
        used = read_seconds(pid) - began, time.process_time() - own
    counts = {
        "storms": len(traffic.storms),
        "rules reloaded": events["rules reloaded"],
        "rules refused": events["rules refused, the old ones stay in use"],
        "certificates replaced": events["certificate replaced"],
        "answers of the mirror": changes.mirror.answered,
        "outages of the mirror": changes.outages,
    }
    minutes = [(moment - start) / 60 for moment in changes.certificates if moment > start]
    problems += traffic.problems
    return Soak(samples, traffic.reviews, counts, minutes, problems, used)


def watch_for(
    webhook: Webhook, traffic: Traffic, mirror: Mirror, seconds: float, start: float
) -> Sample:
    """Wait, and return what happened meanwhile."""
    pid = webhook.process.pid
    begin, reviews, spent = time.monotonic(), traffic.reviews, read_seconds(pid)
    time.sleep(seconds)
    while not traffic.latencies:
        if traffic.problems:
            raise RuntimeError(f"no more reviews: {traffic.problems[0]}")
        time.sleep(0.1)
    passed = time.monotonic() - begin
    count = traffic.reviews - reviews
    return take_sample(
        pid,
        (time.monotonic() - start) / 60,
        traffic.take_latencies(),
        count / passed,
        (read_seconds(pid) - spent) / count * 1e6,
        mirror.connections,
    )


def show_progress(samples: Sequence[Sample], seconds: float) -> None:
    """Write a line to standard error each minute."""
    last = samples[-1]
    if len(samples) == 1 or int(last.minute) != int(samples[-2].minute):
        print(
            f"{last.minute:.0f} of {seconds / 60:.0f} min: {last.memory:.1f} MiB,",
            f"{last.descriptors} descriptors ({last.to_mirror} to the mirror),",
            f"{last.threads} threads,",
            f"50 % {last.median:.1f} ms, 99 % {last.worst:.1f} ms",
            file=sys.stderr,
            flush=True,
        )


def read_log(webhook: Webhook, events: Counter[str]) -> list[str]:
    """Count the lines of the log so far, forget them, and return errors."""
    lines, webhook.log = webhook.log, []
    events.update(line["event"] for line in lines)
    wrong = [line for line in lines if line["level"] == "error" and line["event"] not in EXPECTED]
    return [f"the log says: {line}" for line in wrong]


def draw_soak(soak: Soak) -> str:
    """Return the picture of a run."""

    def line(name: str, attribute: str) -> Line:
        points = [(each.minute, getattr(each, attribute)) for each in soak.samples]
        return Line(name, points)

    panels = [
        Panel("Resident memory, MiB", [line("memory", "memory")]),
        Panel(
            "File descriptors, and those to the mirror",
            [line("all", "descriptors"), line("to the mirror", "to_mirror")],
        ),
        Panel("Threads", [line("threads", "threads")]),
        Panel("Latency of steady reviews, ms", [line("50 %", "median"), line("99 %", "worst")]),
        Panel("Processor for each review, µs", [line("processor", "cost")]),
        Panel("Reviews a second", [line("reviews", "rate")]),
    ]
    title = "One webhook under steady and stormy traffic"
    return draw(title, panels, soak.certificates)


def judge(soak: Soak, seconds: float) -> Sequence[str]:
    """Show the growth of everything, and return what is wrong."""
    growths = [*find_growth(soak.samples)]
    rows = [
        (each.bound.name, *map(each.bound.format_value, (each.first, each.last, each.most)))
        for each in growths
    ]
    show_table(("MEDIAN OF", "FIRST WINDOW", "LAST WINDOW", "AT MOST"), rows)
    if seconds < JUDGED_FROM:
        print(f"Caches fill for longer than {seconds:.0f} s: growth is not judged", file=sys.stderr)
        return []
    return [f"{each.bound.name} grows" for each in growths if not each.holds]


def describe_machine() -> str:
    """Return where and when this runs."""
    today = datetime.now(UTC).date()
    return f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} processors, {today}"


def main() -> None:
    """Run, draw, and fail on growth and on answers that are wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--seconds", type=float, default=3600, help="how long to run")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="the picture to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mirrorhook-soak-") as folder:
        soak = run_soak(Path(folder), options.seconds)
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    options.picture.write_text(draw_soak(soak))
    options.picture.with_suffix(".json").write_text(json.dumps(asdict(soak)))
    passed = soak.samples[-1].minute * 60
    shares = [f"{100 * used / passed:.0f} %" for used in soak.used]
    show_text(f"{soak.reviews:,} reviews in {passed:,.0f} s; {describe_machine()}", style="bold")
    show_text("; ".join(f"{count:,} {name}" for name, count in soak.changes.items()))
    show_text(f"of one processor: the webhook {shares[0]}, its clients and mirror {shares[1]}")
    problems = [*soak.problems[:10], *judge(soak, options.seconds)]
    print(f"The picture: {os.path.relpath(options.picture)}", file=sys.stderr)
    sys.exit("\n".join(problems) or 0)


if __name__ == "__main__":
    main()

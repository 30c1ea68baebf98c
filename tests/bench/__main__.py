"""
Figures that we publish. Times are of this machine, and ratios of this run.

    python -m tests.bench
"""

from __future__ import annotations

import gc
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.text import Text

from tests.bench import availability
from tests.bench.image import of_image
from tests.server.process import RULES, serving
from webhook.cli.table import listing, show
from webhook.core import MirrorMap, Rule

FEW, MANY = 10, 10_000
MOST = 1.2
ROUNDS = 40
PACE = 300
IMAGES = (
    "registry3.example.com/team/app:1.2",
    "registry4.example.net/app@sha256:" + "a" * 64,
    "a.b.cluster5.example/app",
    "quay.io/prometheus/node-exporter:v1.8.0",
    "nginx",
)


def rules_of(count):
    """
    So many rules, of which the images meet the same ones whatever the count.
    """
    matches = (
        "registry{}.example.com/team",
        "registry{}.example.net",
        "*.cluster{}.example",
    )
    return [
        Rule(matches[n % 3].format(n), [f"mirror{n}.example.org/cache"])
        for n in range(count)
    ]


def seconds_of(decide):
    """
    Time for one decision, in seconds.
    """
    began = time.perf_counter()
    for _ in range(PACE):
        for image in IMAGES:
            decide(image)
    return (time.perf_counter() - began) / PACE / len(IMAGES)


def lookup():
    """
    Compare decisions by few rules and by many, taken in turns.
    """
    few, many = (MirrorMap(rules_of(count)).decide for count in (FEW, MANY))
    gc.collect()
    gc.freeze()
    pairs = [(seconds_of(few), seconds_of(many)) for _ in range(ROUNDS)]
    ratio = statistics.median(b / a for a, b in pairs)
    fastest = [min(times) for times in zip(*pairs, strict=True)]
    yield f"one decision, {FEW} rules", f"{fastest[0] * 1e6:.1f} µs", ""
    yield f"one decision, {MANY:,} rules", f"{fastest[1] * 1e6:.1f} µs", f"× {ratio:.2f}"
    if ratio > MOST:
        raise SystemExit(f"{MANY} rules take {ratio:.2f} × the time of {FEW}: over {MOST}")


def review_body():
    """
    A review of the size that they have in clusters: 7 KB, four images.
    """
    padding = {f"annotation-{n}": "x" * 80 for n in range(70)}
    containers = [{"name": f"c{n}", "image": f"app{n}:1"} for n in range(4)]
    pod = {"metadata": {"annotations": padding}, "spec": {"containers": containers}}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    request = {"uid": "u", "kind": kind, "operation": "CREATE", "object": pod}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    return json.dumps(review | {"request": request}).encode()


def over_tls(folder):
    """
    Time reviews over one TLS connection, and the start of the process.
    """
    rules = folder / "rules.yaml"
    rules.write_text(RULES)
    body = review_body()
    began = time.perf_counter()
    with serving(rules) as webhook:
        yield (
            "start of the process until it is ready",
            f"{time.perf_counter() - began:.2f} s",
            "",
        )
        with webhook.client() as client:
            headers = {"content-type": "application/json"}
            times = []
            for _ in range(1500):
                began = time.perf_counter()
                client.post("/mutate", content=body, headers=headers)
                times.append(time.perf_counter() - began)
        count = webhook.metric("mirrorhook_review_duration_seconds_count")
        spent = webhook.metric("mirrorhook_review_duration_seconds_sum")
        memory = webhook.metric("process_resident_memory_bytes")
    median = statistics.median(times)
    yield (
        f"a review of {len(body):,} bytes over TLS, as a client sees it",
        f"{median * 1e6:.0f} µs",
        "",
    )
    yield (
        "of that, in the webhook",
        f"{spent / count * 1e6:.0f} µs",
        f"× {spent / count / median:.2f}",
    )
    yield "memory of the process after it", f"{memory / 2**20:.0f} MiB", ""


def command_start():
    """
    Time a command of the command line.
    """
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "webhook", "--version"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        times.append(time.perf_counter() - began)
    yield "start of a command (`mirrorhook --version`)", f"{min(times):.2f} s", ""


def main():
    """
    Measure, and show it as a table.
    """
    figures = [*lookup(), *command_start()]
    with tempfile.TemporaryDirectory() as folder:
        figures += over_tls(Path(folder))
        figures += availability.figures(Path(folder), review_body())
    figures += of_image()
    show(Text(f"Python {platform.python_version()}", "bold"))
    show(listing(("WHAT", "HERE", "AGAINST THE LINE ABOVE"), figures))


if __name__ == "__main__":
    main()

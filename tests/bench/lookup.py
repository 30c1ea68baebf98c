"""What a decision costs by the number of rules."""

from __future__ import annotations

import gc
import statistics
import time

from tests.bench.contest import Bound
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
    """So many rules, of which the images meet the same ones whatever the count."""
    matches = (
        "registry{}.example.com/team",
        "registry{}.example.net",
        "*.cluster{}.example",
    )
    return [Rule(matches[n % 3].format(n), [f"mirror{n}.example.org/cache"]) for n in range(count)]


def seconds_of(decide):
    """Time for one decision, in seconds."""
    began = time.perf_counter()
    for _ in range(PACE):
        for image in IMAGES:
            decide(image)
    return (time.perf_counter() - began) / PACE / len(IMAGES)


def lookup():
    """Compare decisions by few rules and by many, taken in turns."""
    few, many = (MirrorMap(rules_of(count)).decide for count in (FEW, MANY))
    gc.collect()
    gc.freeze()
    pairs = [(seconds_of(few), seconds_of(many)) for _ in range(ROUNDS)]
    ratio = statistics.median(b / a for a, b in pairs)
    fastest = min(many for _, many in pairs)
    name = f"one decision by {MANY:,} rules ({fastest * 1e6:.1f} µs), to {FEW}"
    yield Bound(name, ratio, MOST)

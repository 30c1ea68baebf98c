"""Measures what many custom resources cost a replica: memory, start, and the time of changes.

python -m tests.cluster.scale [COUNT]
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tests.cluster.api import namespaced
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.release import Release, Replica
from tests.cluster.resources import DELEGATED, Resources, Reviewer, rewrites
from tests.cluster.world import MIRROR, RULES, World
from tests.tools.golang import GoMissingError
from tests.tools.helm import HelmMissingError
from webhook.cli.output import show_table, show_text

COUNT = 10_000
CLIENTS = 8
CHANGES = 20
SECONDS = 10.0
VALUES = {
    "rules": RULES,
    "customResources": {"enabled": True},
    "delegation": {
        "namespaces": {"matchLabels": DELEGATED},
        "mirrors": ["team.example/*"],
    },
}
IMAGE = "gcr.io/a/b:1"
IN_USE = "custom resources in use"


def make_spec(number: int, path: str = "gcr") -> dict[str, Any]:
    """Return rules as a team has them; no two teams have the same."""
    return rewrites(
        gcr=f"team.example/{path}-{number}",
        hub=f"team.example/hub-{number}",
        quay=f"team.example/quay-{number}",
    )


def create_objects(plane: ControlPlane, count: int) -> None:
    """Create namespaces, each with rules of its own."""

    def create(begin: int) -> None:
        api = plane.as_user(plane.tokens["admin"])
        for number in range(begin, count, CLIENTS):
            name = f"team-{number}"
            metadata = {"name": name, "labels": DELEGATED}
            api.post("/api/v1/namespaces", {"metadata": metadata})
            body = {
                "apiVersion": "mirrorhook.io/v1alpha1",
                "kind": "MirrorRules",
                "metadata": {"name": "ours"},
                "spec": make_spec(number),
            }
            api.post(namespaced("mirrorhook.io/v1alpha1/mirrorrules", name), body)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(create, range(CLIENTS)))


def get_memory(replica: Replica, field: str = "VmRSS") -> float:
    """Return the memory of a replica in MiB: now (VmRSS), or at most so far (VmHWM)."""
    status = Path(f"/proc/{replica.process.pid}/status").read_text()
    found = re.search(rf"{field}:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def measure_reviews(replica: Replica, work: Callable[[], None]) -> tuple[float, float, float]:
    """Return median, 99th percentile and maximum of reviews in milliseconds, during some work."""
    ended = Event()
    times: list[float] = []

    def review() -> None:
        with Reviewer(replica) as reviewer:
            while not ended.is_set():
                began = time.perf_counter()
                reviewer.rewrite(f"team-{len(times) % 100}", IMAGE)
                times.append(1000 * (time.perf_counter() - began))

    thread = Thread(target=review)
    thread.start()
    work()
    ended.set()
    thread.join()
    times.sort()
    return statistics.median(times), times[len(times) * 99 // 100], times[-1]


def iterate_rows(plane: ControlPlane, count: int) -> Iterator[tuple[str, str]]:
    """Yield what was measured, and its value."""
    world = World(plane)
    resources = Resources(world)
    release = Release(plane)
    release.install(VALUES)
    began = time.perf_counter()
    (first,) = release.run_replicas()
    yield "start without objects", f"{time.perf_counter() - began:.1f} s"
    yield "memory without objects", f"{get_memory(first):.0f} MiB"
    # It would create a service account and a ConfigMap in each namespace.
    plane.processes.end("kube-controller-manager")
    create_objects(plane, count)
    with Reviewer(first) as reviewer:
        reviewer.wait_for(f"team-{count - 1}", IMAGE, f"team.example/gcr-{count - 1}/a/b:1")
    yield f"memory after {count:,} objects were created", f"{get_memory(first):.0f} MiB"
    began = time.perf_counter()
    (second,) = release.run_replicas()
    yield f"start with {count:,} objects", f"{time.perf_counter() - began:.1f} s"
    assert second.logged(IN_USE)[0]["objects"] == count
    yield "memory of that replica", f"{get_memory(second):.0f} MiB"
    yield "most memory of that replica", f"{get_memory(second, 'VmHWM'):.0f} MiB"

    def change(number: int) -> float:
        path = f"new{time.time_ns()}"
        resources.put("ours", make_spec(number, path), f"team-{number}")
        return watcher.wait_for(f"team-{number}", IMAGE, f"team.example/{path}-{number}/a/b:1")

    watcher = Reviewer(second)
    delays = [change(number) for number in range(CHANGES)]
    yield "change of a team, until it is in use", describe_seconds(delays)

    def change_platform() -> float:
        target = f"{MIRROR}/new{time.time_ns()}"
        rule = {"match": "ghcr.io", "mirrors": [{"target": target}]}
        resources.put("platform", {"rules": [rule]})
        return watcher.wait_for("team-1", "ghcr.io/a/b:1", f"{target}/a/b:1")

    yield (
        "change of the platform, until it is in use",
        describe_seconds([change_platform() for _ in range(3)]),
    )
    yield (
        "reviews while nothing changes",
        describe_times(measure_reviews(second, lambda: time.sleep(SECONDS))),
    )

    def change_teams() -> None:
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            resources.put("ours", make_spec(1, f"new{time.time_ns()}"), "team-1")
            time.sleep(0.1)

    yield (
        "reviews while a team changes its rules",
        describe_times(measure_reviews(second, change_teams)),
    )
    yield (
        "reviews while the platform changes its rules",
        describe_times(measure_reviews(second, lambda: change_platform() and None)),
    )
    writes = "mirrorhook_custom_resources_status_writes_total"
    before = first.metric(writes) + second.metric(writes)
    time.sleep(SECONDS)
    written = first.metric(writes) + second.metric(writes) - before
    yield "status written", f"{written / SECONDS:.0f} objects a second"
    release.close()


def describe_seconds(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} s, at most {max(values):.2f} s"


def describe_times(times: tuple[float, float, float]) -> str:
    median, late, most = times
    return f"{median:.1f} ms, 99 % within {late:.1f} ms, at most {most:.0f} ms"


def main() -> None:
    """Measure, and show the results as a table."""
    if os.geteuid() != 0:
        sys.exit("a control plane that listens on port 443 needs root")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    rows = []
    try:
        with control_plane() as plane:
            for row in iterate_rows(plane, count):
                rows.append(row)
                print(": ".join(row), file=sys.stderr, flush=True)
    except (GoMissingError, HelmMissingError) as error:
        sys.exit(str(error))
    show_text(f"{count:,} MirrorRules in as many namespaces", style="bold")
    show_table(("MEASURED", "VALUE"), rows)


if __name__ == "__main__":
    main()

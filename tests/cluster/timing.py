"""Measures how much the webhook adds to the creation of a Pod, by metrics of the API server.

python -m tests.cluster.timing
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys

import httpx

from tests.cluster.api import namespaced
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.release import Release
from tests.cluster.world import ENABLED, MIRROR, RULES, World, pod
from tests.tools.golang import GoMissingError
from tests.tools.helm import HelmMissingError
from webhook.cli.output import show_table, show_text

ROUNDS = 6
REQUESTS = {1: 150, 50: 600}
ADMISSION = "apiserver_admission_webhook_admission_duration_seconds"
REQUEST = "apiserver_request_duration_seconds"
PODS = {"verb": "POST", "resource": "pods", "dry_run": "All"}
OURS = {"name": "default.mirrorhook.io"}
POD = pod("nginx:1.29", "gcr.io/a/b:1", "quay.io/c/d:2", "registry.k8s.io/pause:3.10")


class Mean:
    """The mean of a histogram of the API server since its creation, in milliseconds."""

    def __init__(self, plane: ControlPlane, name: str, labels: dict[str, str]) -> None:
        self._now = lambda: [
            plane.api.metric(f"{name}_{kind}", **labels) for kind in ("sum", "count")
        ]
        self._before = self._now()

    def value(self) -> float:
        spent, count = (b - a for a, b in zip(self._before, self._now(), strict=True))
        return 1000 * spent / count


async def create(plane: ControlPlane, namespace: str, clients: int) -> None:
    """Create Pods in dry runs with a number of concurrent clients."""
    headers = {"Authorization": f"Bearer {plane.tokens['admin']}"}
    verify = httpx.create_ssl_context(verify=str(plane.authority))
    path = f"{plane.url}{namespaced('pods', namespace)}?dryRun=All"

    async def one() -> None:
        async with httpx.AsyncClient(headers=headers, verify=verify, timeout=60) as client:
            for _ in range(REQUESTS[clients] // clients):
                (await client.post(path, json=POD)).raise_for_status()

    await asyncio.gather(*(one() for _ in range(clients)))


def measured(plane: ControlPlane, spaces: dict[str, str]):
    """Yield a row for each number of clients."""
    for clients in REQUESTS:
        times: dict[str, list[float]] = {"without": [], "with": [], "webhook": []}
        for number in range(ROUNDS):
            order = ("without", "with") if number % 2 else ("with", "without")
            for kind in order:
                whole = Mean(plane, REQUEST, PODS)
                ours = Mean(plane, ADMISSION, OURS)
                asyncio.run(create(plane, spaces[kind], clients))
                times[kind].append(whole.value())
                if kind == "with":
                    times["webhook"].append(ours.value())
        median = {kind: statistics.median(values) for kind, values in times.items()}
        yield (
            str(clients),
            f"{median['without']:.2f} ms",
            f"{median['with']:.2f} ms",
            f"{median['webhook']:.2f} ms",
            f"x {median['with'] / median['without']:.2f}",
        )


def main() -> None:
    """Measure, and show the results as a table."""
    if os.geteuid() != 0:
        sys.exit("a control plane that listens on port 443 needs root")
    try:
        with control_plane() as plane:
            world = World(plane)
            release = Release(plane)
            release.install({"rules": RULES})
            release.serve_alone()
            spaces = {"with": world.namespace(ENABLED), "without": world.namespace()}
            world.wait_for(spaces["with"], "nginx", f"{MIRROR}/hub/library/nginx")
            rows = [*measured(plane, spaces)]
            release.close()
    except (GoMissingError, HelmMissingError) as error:
        sys.exit(str(error))
    show_text("Creating a Pod with four images, measured by the API server", style="bold")
    columns = ("CLIENTS", "WITHOUT", "WITH", "OF THAT, THE CALL", "RATIO")
    show_table(columns, rows)


if __name__ == "__main__":
    main()

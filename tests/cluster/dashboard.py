"""Takes the picture of the dashboard in the documentation, on a real Kubernetes under load.

python -m tests.cluster.dashboard [PICTURE]
"""

from __future__ import annotations

import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.api import namespaced
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.release import Release, released
from tests.cluster.world import ENABLED, World, pod
from tests.site.dashboard import PanelPicture, Source, draw_panels, take_picture
from tests.tools import loopback
from tests.tools.golang import GoMissingError
from tests.tools.helm import HelmMissingError
from tests.tools.prometheus import scraping
from tests.tools.registry import push_image, registry

PICTURE = Path(__file__).resolve().parents[2] / "docs/images/dashboard.png"
SECONDS = 300.0
PODS = (
    ("nginx:1.27", "quay.io/prometheus/node-exporter:v1.9.1"),
    ("registry.k8s.io/coredns/coredns:v1.13.1",),
    ("bitnami/redis:7.2", "ghcr.io/acme/sidecar:3"),
    ("quay.io/our-team/migrate:14",),
    ("nginx:1.27", "busybox:1.36"),
)
INVALID = ("Not An Image",)
# What the mirror has; it lacks coredns and busybox.
HELD = (
    "hub/library/nginx:1.27",
    "hub/bitnamilegacy/redis:7.2",
    "quay/prometheus/node-exporter:v1.9.1",
)


def make_values(mirror: str) -> dict[str, Any]:
    """Return the values of a release that checks a mirror."""
    return {
        "profiles": ["bitnami-legacy"],
        "rules": [
            {"match": "docker.io", "mirrors": [f"{mirror}/hub"]},
            {"match": "registry.k8s.io", "mirrors": [f"{mirror}/k8s"]},
            {"match": "quay.io", "mirrors": [f"{mirror}/quay"]},
            {"match": "quay.io/our-team", "keep": True},
        ],
        "availability": {
            "mode": "check",
            "plainHTTP": [mirror],
            "ttl": "5s",
            "negativeTTL": "5s",
        },
    }


@contextmanager
def observing(release: Release, folder: Path) -> Iterator[str]:
    """Run a Prometheus that scrapes the replicas and the API server; yields its URL."""
    plane = release.plane
    token = folder / "token"
    token.write_text(plane.tokens["admin"])
    replicas = [
        {
            "targets": [f"{replica.address}:8080"],
            "labels": {"namespace": release.name, "pod": replica.name},
        }
        for replica in release.replicas
    ]
    server = {
        "job_name": "apiserver",
        "scrape_interval": "5s",  # it has a hundred times as many metrics
        "scheme": "https",
        "tls_config": {"ca_file": str(plane.authority)},
        "authorization": {"credentials_file": str(token)},
        "static_configs": [{"targets": [f"{plane.host}:443"]}],
    }
    job = {"job_name": "mirrorhook", "static_configs": replicas}
    with scraping(folder, job, server) as address:
        yield address


def create_pods(plane: ControlPlane, space: str, seconds: float) -> None:
    """Create Pods in dry runs, in waves of 40 seconds."""
    began = time.monotonic()
    number = 0
    while (passed := time.monotonic() - began) < seconds:
        number += 1
        images = PODS[number % len(PODS)] if number % 40 else INVALID
        body = pod(*images, name=f"pod-{number}")
        plane.api.post(namespaced("pods", space), body, dryRun="All")
        time.sleep(0.05 + 0.15 * (1 + math.sin(passed * math.tau / 40)))


def send_no_reviews(release: Release) -> None:
    """Send requests that the webhook refuses."""
    headers = {"content-type": "application/json"}
    for replica in release.replicas:
        url = f"https://{replica.address}:8443/mutate"
        loopback.post(url, content=b"{", headers=headers)


@contextmanager
def pausing(release: Release) -> Iterator[None]:
    """Stop all replicas until the end of the block, so that nobody answers the API server."""
    processes = [replica.process for replica in release.replicas]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def draw_dashboard(
    plane: ControlPlane, space: str, folder: Path, seconds: float
) -> list[PanelPicture]:
    """Create Pods for some time, and return what the dashboard shows then.

    The mirror is away for a tenth of that time, and later nobody answers for a moment.
    """
    blobs = folder / "blobs"
    blobs.mkdir()
    with registry(folder, blobs=blobs) as mirror:
        for name in HELD:
            push_image(mirror, name)
    with (
        released(plane, make_values(mirror), replicas=2) as release,
        observing(release, folder) as address,
    ):
        start = time.time()
        with registry(folder, blobs=blobs, listen=mirror):
            send_no_reviews(release)
            create_pods(plane, space, seconds * 0.4)
        create_pods(plane, space, seconds * 0.1)
        with registry(folder, blobs=blobs, listen=mirror):
            send_no_reviews(release)
            create_pods(plane, space, seconds * 0.2)
            with pausing(release):
                create_pods(plane, space, seconds * 0.03)
            send_no_reviews(release)
            create_pods(plane, space, seconds * 0.27)
        return draw_panels(Source(address, start, time.time()))


def main() -> None:
    """Take the picture."""
    picture = Path(sys.argv[1]) if sys.argv[1:] else PICTURE
    if os.geteuid() != 0:
        sys.exit("a control plane that listens on port 443 needs root")
    try:
        with tempfile.TemporaryDirectory() as scratch, control_plane() as plane:
            folder = Path(scratch)
            space = World(plane).namespace(ENABLED)
            take_picture(draw_dashboard(plane, space, folder, SECONDS), picture, folder)
    except (GoMissingError, HelmMissingError) as error:
        sys.exit(str(error))
    print(picture)


if __name__ == "__main__":
    main()

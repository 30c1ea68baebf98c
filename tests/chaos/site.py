"""A cluster whose two replicas can be harmed: their disk, clock, log and mirror are the test's."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import yaml

from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.processes import until
from tests.cluster.release import Release, Replica, trusted
from tests.cluster.service import ServiceProxy
from tests.cluster.world import ENABLED, MIRROR, RULES, World
from tests.tools.mirror import Mirror

__all__ = ["IMAGE", "Site", "site"]

IMAGE = "nginx"
EXPECTED = f"{MIRROR}/hub/library/{IMAGE}"
DISK = "16m"
SERIES = "mirrorhook_reviews_total"
FAKETIME = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")


@dataclass
class Reader:
    """Reads a pipe until it is held."""

    path: Path
    held: Event = field(default_factory=Event)

    def run(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        while True:
            if self.held.wait(0.05):
                continue
            select.select([descriptor], [], [], 0.05)
            try:
                os.read(descriptor, 1 << 20)
            except BlockingIOError:
                continue


@dataclass
class Site:
    """A cluster with a release of two replicas, and what its faults need.

    Attributes:
        plane: The cluster.
        world: Creates Pods in it.
        release: The release.
        space: A namespace whose Pods are rewritten.
        disk: The disk to which the first replica writes its log.
        clock: The file with the clock of the first replica, as an offset.
        reader: Reads the log of the second replica.
        mirror: A mirror that can be down.
    """

    plane: ControlPlane
    world: World
    release: Release
    space: str
    disk: Path
    clock: Path
    reader: Reader
    mirror: Mirror

    @property
    def rules(self) -> dict[str, str]:
        """The ConfigMap with the rules, as it should be."""
        return {"rules.yaml": yaml.safe_dump({"rules": RULES})}

    @property
    def first(self) -> Replica:
        return self.release.replicas[0]

    @property
    def proxy(self) -> ServiceProxy:
        assert self.release.proxy
        return self.release.proxy

    def reviews(self, replica: Replica) -> float:
        """Return how many reviews a replica has answered."""
        lines = [line for line in replica.ask("/metrics").text.splitlines() if SERIES in line]
        return sum(float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#"))

    def replace(self, **values: Any) -> None:
        """Upgrade the release, and replace its Pods."""
        self.release.install_again(**values)
        for replica in tuple(self.release.replicas):
            self.release.kill(replica)
        self.heal()

    def heal(self) -> None:
        """Replace replicas that ended, as the kubelet does, and wait until Pods are rewritten."""
        for replica in tuple(self.release.replicas):
            if replica.process.poll() is not None:
                self.release.kill(replica)
        for _ in range(2 - len(self.release.replicas)):
            self.release.start_replica()
        self.release.wait_ready(*self.release.replicas)
        until(lambda: self.world.tried(self.space, IMAGE) == EXPECTED, "a rewritten Pod", 60)


@contextmanager
def site() -> Iterator[Site]:
    """Run a cluster with two replicas until the end of the block."""
    with ExitStack() as stack:
        plane = stack.enter_context(control_plane())
        world = World(plane)
        release = Release(plane)
        stack.callback(release.close)
        release.install({"rules": RULES})
        logs = plane.processes.logs
        disk = plane.folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "disk", disk], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", disk], check=True)
        (logs / "mirrorhook-1.log").symlink_to(disk / "replica.log")
        os.mkfifo(logs / "mirrorhook-2.log")
        reader = Reader(logs / "mirrorhook-2.log")
        Thread(target=reader.run, daemon=True).start()
        clock = plane.folder / "clock"
        clock.write_text("+0")
        release.environment = fake_clock(clock)
        release.start_replica()
        release.environment = {}
        release.start_replica()
        release.wait_ready(*release.replicas)
        until(lambda: trusted(release), "a CA bundle in the configuration")
        mirror = Mirror()
        Thread(target=mirror.run, daemon=True).start()
        here = Site(plane, world, release, world.namespace(ENABLED), disk, clock, reader, mirror)
        here.heal()
        yield here


def fake_clock(file: Path) -> dict[str, str]:
    """Return the environment of a process whose clock has the offset in a file."""
    names = [Path(folder, "faketime/libfaketimeMT.so.1") for folder in FAKETIME]
    return {
        "LD_PRELOAD": str(next(name for name in names if name.exists())),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }

"""Kernel namespaces for a whole cluster. When their first process ends, all others do."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.processes import TIED, until

__all__ = ["isolated", "outside"]

NETWORK = 0x40000000  # CLONE_NEWNET
# Binds folders that containers write to to folders of the test, then sets addresses.
FIRST = """set -e
for folder in /run /var/log /var/lib; do
  mkdir -p "$0$folder"
  mount --bind "$0$folder" "$folder"
done
ip link set lo up
ip address add "$1/32" dev lo
ip route add "$2" dev lo src "$1"
echo 1 > /proc/sys/net/ipv4/ip_forward
touch "$0/isolated"
while :; do sleep 1000 & wait; done  # this also reaps orphaned processes of Pods
"""


@contextmanager
def isolated(folder: Path, address: str, services: str) -> Iterator[tuple[str, ...]]:
    """Move this thread into a separate network until the end of the block.

    Args:
        folder: Folder that replaces `/run`, `/var/log` and `/var/lib`.
        address: Address of the only host in the network.
        services: Address range that is routed to that host.

    Yields:
        Command prefix that runs a command in all these namespaces.
    """
    command = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child")
    outer = subprocess.Popen(
        [*TIED, *command, "--mount-proc", "sh", "-c", FIRST, folder, address, services],
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    try:
        made = folder / "isolated"
        until(lambda: made.exists() or outer.poll() is not None, "namespaces")
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        (first,) = children.read_text().split()
        with _within(f"/proc/{first}/ns/net"):
            yield ("nsenter", f"--target={first}", "--net", "--mount", "--pid", "--")
        outer.kill()
        until(lambda: not Path(f"/proc/{first}").exists(), "the end of the namespaces")
    finally:
        outer.kill()
        outer.wait()


@contextmanager
def _within(network: str) -> Iterator[None]:
    """Move this thread into a network namespace until the end of the block."""
    ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    theirs = os.open(network, os.O_RDONLY)
    try:
        _enter(theirs)
        yield
    finally:
        _enter(ours)
        os.close(ours)
        os.close(theirs)


@contextmanager
def outside() -> Iterator[None]:
    """Move this thread into the network of the machine, to download what is not there yet."""
    with _within(f"/proc/{os.getppid()}/ns/net"):
        yield


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, NETWORK) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

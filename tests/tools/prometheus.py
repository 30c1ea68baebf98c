"""A real Prometheus on loopback, and what it answers."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from tests.tools import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PROMETHEUS", "ask", "ask_range", "scraping"]

PROMETHEUS = shutil.which("prometheus")
HOST = "127.0.90.90"


@contextmanager
def scraping(folder: Path, *jobs: dict[str, Any]) -> Iterator[str]:
    """Run Prometheus until the end of the block; it scrapes once a second.

    Args:
        folder: Folder for its configuration and its data.
        jobs: What it scrapes: entries of ``scrape_configs``.

    Yields:
        Its URL.
    """
    assert PROMETHEUS, "Prometheus is not here: apt-get install prometheus"
    configuration = folder / "prometheus.yaml"
    settings = {"global": {"scrape_interval": "1s"}, "scrape_configs": list(jobs)}
    configuration.write_text(yaml.safe_dump(settings))
    # No connection of another test comes from this address, and could take the port meanwhile.
    with socket.create_server((HOST, 0)) as free:
        address = f"{HOST}:{free.getsockname()[1]}"
    command = [PROMETHEUS, f"--config.file={configuration}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


def ask(address: str, query: str) -> list[dict[str, Any]]:
    """Return what a query finds now; nothing as long as Prometheus starts."""
    return _ask(address, "query", query=query)


def ask_range(
    address: str, query: str, start: float, end: float, step: float
) -> list[dict[str, Any]]:
    """Return what a query finds for each step of a time range."""
    return _ask(address, "query_range", query=query, start=start, end=end, step=step)


def _ask(address: str, path: str, **parameters: Any) -> list[dict[str, Any]]:
    try:
        answer = loopback.get(f"{address}/api/v1/{path}", params=parameters)
    except httpx.TransportError:
        return []
    if not answer.is_success:  # such as 503 in plain text while it starts
        return []
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found

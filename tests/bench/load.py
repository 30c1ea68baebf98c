"""Load on a server by `wrk`_, which Debian has.

.. _wrk: https://github.com/wg/wrk
"""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.bench.awake import keep_awake
from tests.bench.bodies import MARK
from tests.bench.contestants import LOAD_CORE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.contestants import Contestant

__all__ = ["Case", "Load", "Sample", "WrkMissingError"]

# Every request has a body of its own where the images are to be new, of the same length.
SCRIPT: Final = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
{connection}
local file = io.open("{body}", "rb")
local body = file:read("*a")
file:close()
wrk.body = body
{request}
function done(summary, latency, requests)
  local failed = summary.errors
  print(string.format("result %d %d %d %d %d", summary.requests, summary.duration,
    failed.connect + failed.read + failed.write + failed.timeout + failed.status,
    latency:percentile(50), latency:percentile(99)))
end
"""
NEW_IMAGES: Final = """
local parts = {{}}
local from = 1
while true do
  local at = string.find(body, "{mark}", from, true)
  if not at then break end
  parts[#parts + 1] = string.sub(body, from, at - 1)
  from = at + {length}
end
parts[#parts + 1] = string.sub(body, from)
local number = {first}
function request()
  number = number + 1
  return wrk.format(nil, nil, nil,
    table.concat(parts, string.format("%0{length}d", number)))
end
"""
RESULT: Final = re.compile(r"^result (\d+) (\d+) (\d+) (\d+) (\d+)$", re.MULTILINE)


class WrkMissingError(RuntimeError):
    """The program wrk is not here."""


@dataclass(frozen=True)
class Case:
    """One way to ask.

    Attributes:
        name: Its name in tables.
        body: The review; it has marks where images are to be new.
        connections: How many ask at once.
        keep: Whether a connection is used again.
        new: Whether every image is new.
    """

    name: str
    body: bytes
    connections: int = 32
    keep: bool = True
    new: bool = False


@dataclass(frozen=True)
class Sample:
    """What one run gave.

    Attributes:
        reviews: How many were answered.
        cpu: Processor of the server, in seconds a review.
        rate: Reviews a second.
        median: Latency that half of the reviews had at most, in seconds.
        worst: That 99 % had.
    """

    reviews: int
    cpu: float
    rate: float
    median: float
    worst: float


class Load:
    """Asks servers for reviews.

    Args:
        folder: A folder for bodies and scripts.

    Raises:
        WrkMissingError: wrk is not here.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        if shutil.which("wrk") is None:
            raise WrkMissingError("the load comes from wrk: apt-get install wrk")

    def run(self, contestant: Contestant, case: Case, seconds: int) -> Sample:
        """Ask for some time, and return what it took."""
        script = self._script(case)
        before = contestant.seconds()
        command = f"wrk --threads 1 --connections {case.connections} --timeout 10s"
        command = f"taskset --cpu-list {LOAD_CORE} {command} --duration {seconds}s"
        # A single connection is about latency, of which waking up is a part.
        with keep_awake() if case.connections > 1 else nullcontext():
            done = subprocess.run(
                [*command.split(), "--script", str(script), f"{contestant.url}/mutate"],
                capture_output=True,
                text=True,
                check=True,
            )
        spent = contestant.seconds() - before
        found = RESULT.search(done.stdout)
        assert found, done.stdout + done.stderr
        reviews, microseconds, failed, median, worst = map(int, found.groups())
        assert not failed, f"{contestant.name}, {case.name}: {done.stdout}"
        return Sample(
            reviews,
            spent / reviews,
            reviews / microseconds * 1e6,
            median / 1e6,
            worst / 1e6,
        )

    def _script(self, case: Case) -> Path:
        self._made += 1
        body = self._folder / f"body-{self._made}.json"
        body.write_bytes(case.body)
        request = NEW_IMAGES.format(mark=MARK, length=len(MARK), first=self._made * 10_000_000)
        close = 'wrk.headers["Connection"] = "close"'
        script = self._folder / f"case-{self._made}.lua"
        script.write_text(
            SCRIPT.format(
                body=body,
                connection="" if case.keep else close,
                request=request if case.new else "",
            )
        )
        return script

"""Who takes part: our webhook, the floor of its stack, and two webhooks in Go."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.bench.bodies import TARGETS
from tests.server.process import JSON, ROOT
from tests.tools import loopback
from tests.tools.golang import built
from webhook.tls.ca import create_ca

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["LOAD_CORE", "Contestant", "Field", "list_images", "make_rules"]

READY: Final = re.compile(r"reviews on (https://[^\s,;]+)")
OPERATIONS: Final = re.compile(r"metrics on (http://[^\s,;]+)")
HERE: Final = Path(__file__).parent
TICKS: Final = os.sysconf("SC_CLK_TCK")
# The first core serves, the last one asks: the same one where there is only one.
CORES: Final = sorted(os.sched_getaffinity(0))
SERVER_CORE: Final = CORES[0]
LOAD_CORE: Final = CORES[-1]
PATIENCE: Final = 10.0
# Programs start from compiled files, as they do where they are installed.
ENVIRONMENT: Final = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}


@dataclass(frozen=True)
class Contestant:
    """A server that answers reviews.

    Attributes:
        name: Its name in tables.
        process: Its process, bound to one core.
        url: Where reviews go.
        operations: Where our own has its metrics; empty for others.
        ready: Seconds from its start until it said that it is ready.
    """

    name: str
    process: subprocess.Popen[str]
    url: str
    operations: str
    ready: float

    def seconds(self) -> float:
        """How much of its processor it has used so far, in user and kernel."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2]
        user, system = stat.split()[11:13]
        return (int(user) + int(system)) / TICKS

    def answer(self, body: bytes) -> bytes:
        """Return the answer to a review."""
        url = f"{self.url}/mutate"
        answered = loopback.post(url, content=body, headers=JSON)
        return answered.raise_for_status().content

    def resident(self) -> int:
        """Its memory, in bytes."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


class Field:
    """Starts contestants, with one certificate for all of them.

    Args:
        folder: A folder for certificate, rules and answers.
        stack: Ends them.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        now, lifetime = datetime.now(UTC), timedelta(days=1)
        pair = create_ca("bench", now, lifetime).issue(["localhost"], now, lifetime)
        self._certificate = self._write("tls.crt", pair.chain)
        self._key = self._write("tls.key", pair.key)

    def start_webhook(self, name: str, rules: dict[str, Any]) -> Contestant:
        """Start the webhook, with all that is on by default, and the rules file given."""
        # JSON is YAML, and lasts for ten thousand rules.
        file = self._write(f"{name}.yaml", json.dumps(rules).encode())
        command = [sys.executable, "-m", "webhook", "serve", "--config", str(file)]
        command += ["--host", "127.0.0.1", "--port", "0", "--operations-port", "0"]
        command += ["--tls-cert", str(self._certificate), "--tls-key", str(self._key)]
        return self._start(name, [*command, "--drain", "0"])

    def start_floor(self, answer: bytes) -> Contestant:
        """Start the floor of the stack, which always gives one answer."""
        command = [sys.executable, "-m", "tests.bench.floor", *self._pair()]
        command += ["--answer", str(self._write("answer.json", answer))]
        return self._start("floor", command)

    def start_go(self, name: str) -> Contestant:
        """Build and start one of those in Go.

        Raises:
            GoMissingError: There is no Go here.
        """
        targets = self._write("targets.json", json.dumps(TARGETS).encode())
        program = built(HERE, f"./{name}")
        return self._start(name, [str(program), *self._pair(), "--rules", str(targets)])

    def _pair(self) -> list[str]:
        return ["--cert", str(self._certificate), "--key", str(self._key)]

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path

    def _start(self, name: str, command: list[str]) -> Contestant:
        return self._stack.enter_context(started(name, command))


@contextmanager
def started(name: str, command: list[str]) -> Iterator[Contestant]:
    """Run a server on the core for servers, until the end of the block.

    Its log goes to another process, as it does in a cluster.
    """
    began = time.perf_counter()
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader,
        subprocess.Popen(
            ["taskset", "--cpu-list", str(SERVER_CORE), *command],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=reader.stdin,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        os.sched_setaffinity(reader.pid, {LOAD_CORE})
        try:
            line = process.stderr.readline()
            ready = time.perf_counter() - began
            found = READY.search(line)
            assert found, line + process.stderr.read()
            operations = OPERATIONS.search(line)
            address = operations[1] if operations else ""
            yield Contestant(name, process, found[1], address, ready)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            reader.stdin.close()


def make_rules(count: int, targets: Mapping[str, str] = TARGETS) -> dict[str, Any]:
    """Return a rules file with *count* rules: those of the images, and others before them."""
    others = {
        f"registry{n}.example.org": f"mirror.example.com/registry{n}"
        for n in range(count - len(targets))
    }
    return {
        "rules": [
            {"match": match, "mirrors": [target]} for match, target in (others | targets).items()
        ]
    }


def list_images(contestant: Contestant, body: bytes) -> list[str]:
    """Ask for one review, and return the images that the answer puts in place, sorted."""
    response = json.loads(contestant.answer(body))["response"]
    assert response["allowed"], response
    assert response["uid"] == json.loads(body)["request"]["uid"]
    operations = json.loads(base64.b64decode(response["patch"]))
    return sorted(entry["value"] for entry in operations if entry["path"].endswith("/image"))

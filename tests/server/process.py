"""The webhook as its users run it: a process of its own, asked over real sockets."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx

from tests.generate.logs import find_unlisted
from tests.tools import loopback

ROOT = Path(__file__).resolve().parents[2]
READY = re.compile(
    r"(?:is ready|waits for valid rules): reviews on (https://\S+), probes and metrics on (http://\S+);"
)
PATIENCE = 60.0
RULES = "rules:\n  - {match: docker.io, mirrors: [harbor.example.com/dockerhub]}\n"


@dataclass
class Webhook:
    """A running webhook.

    Attributes:
        process: The process.
        reviews: URL of the port for reviews.
        operations: URL of the port for probes and metrics.
        log: The log lines so far.
        said: What it said on standard error.
    """

    process: subprocess.Popen[str]
    reviews: str = ""
    operations: str = ""
    log: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    _reading: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self._reading.set()

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.reviews)
        return url.host, url.port

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.reviews, verify=loopback.unverified(), **options)

    def review(self, body: bytes, path: str = "/mutate") -> httpx.Response:
        with self.client() as client:
            return client.post(path, content=body, headers=JSON)

    def ask(self, path: str, **options: Any) -> httpx.Response:
        return loopback.get(self.operations + path, **options)

    def metric(self, name: str) -> float:
        """The value of one series, as it is written in the text format; 0 without it."""
        for line in self.ask("/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            if series == name:
                return float(value)
        return 0.0

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        until(lambda: len(self.logged(event)) >= count, f"{event!r} in {self.log}")
        return self.logged(event)[-1]

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def read(self) -> None:
        for line in self.process.stdout:
            self._reading.wait()
            self.log.append(json.loads(line))

    def pause_reading(self) -> None:
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    def listen(self) -> None:
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))


JSON = {"content-type": "application/json"}


def until(condition, what="the condition"):
    """Wait for something to become true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


def fail_to_serve(rules: Path, *options: str) -> str:
    """Run the webhook, which must end with the exit code of wrong usage; return its errors."""
    done = subprocess.run(
        [sys.executable, "-m", "webhook", "serve", "--config", str(rules), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


@contextmanager
def serving(rules: Path, *options: str):
    """Run the webhook until the end of the block, where it must end well."""
    command = [sys.executable, "-m", "webhook", "serve", "--config", str(rules)]
    command += ["--host", "127.0.0.1", "--port", "0", "--operations-port", "0"]
    if "--drain" not in options:
        command += ["--drain", "0"]
    with subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        webhook = Webhook(process)
        readers = [Thread(target=work) for work in (webhook.read, webhook.listen)]
        for reader in readers:
            reader.start()
        try:
            until(lambda: webhook.said or process.poll() is not None, "the ready line")
            found = READY.search("\n".join(webhook.said))
            assert found, webhook.said
            webhook.reviews, webhook.operations = found.groups()
            yield webhook
            assert webhook.stop() == 0
        finally:
            process.kill()
            for reader in readers:
                reader.join()
        assert list(filter(None, map(find_unlisted, webhook.log))) == []

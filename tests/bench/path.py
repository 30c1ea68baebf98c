"""The path of one review through our code: every call, and the instructions that they take.

python -m tests.bench.path           # print the trace of a usual review, and of one with new images
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import closing
from itertools import count
from pathlib import Path
from timeit import timeit
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from uvicorn import Config
from uvicorn.server import ServerState

from tests.bench.bodies import MARK, make_review
from tests.bench.contest import Bound
from tests.bench.contestants import make_rules
from webhook.admission.request import read_review
from webhook.config import parse_rules
from webhook.server.app import AdmissionWebhook, create_app
from webhook.server.connections import ConnectionTable
from webhook.server.history import History
from webhook.server.http import LIMITS, LimitedProtocol, Port
from webhook.server.listener import SETTINGS
from webhook.server.policies import build_policies
from webhook.server.readiness import Readiness
from webhook.server.recorder import ReviewRecorder
from webhook.telemetry import LineWriter, Log, Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["measure_path"]

ROOT: Final = Path(__file__).resolve().parents[2] / "webhook"
# Python 3.11 calls them as functions; later versions do not.
COMPREHENSIONS: Final = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")
CALLS, FILES, FILES_NEW = 30, 11, 20
READING = 0.4
VERSION: Final = (3, 11)
INSTRUCTIONS, INSTRUCTIONS_NEW = 5_200, 11_400
BODY: Final = make_review(7_000)
NEW: Final = make_review(7_000, marked=True)
HEAD: Final = (
    b"POST /mutate?timeout=10s HTTP/1.1\r\nhost: mirrorhook.mirrorhook.svc:443\r\n"
    b"user-agent: kube-apiserver-admission\r\ncontent-length: %d\r\naccept: application/json\r\n"
    b"content-type: application/json\r\naccept-encoding: gzip\r\n\r\n"
)


class Wire(asyncio.Transport):
    """Takes what is written, and is never full."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False


class Connection:
    """A connection to the webhook as `serve` builds it, without a socket."""

    def __init__(self) -> None:
        self._file = os.open(os.devnull, os.O_WRONLY)
        self._lines = LineWriter(self._file)
        log, metrics = Log(self._lines.write, time.time), Metrics("0", lambda: 0.0)
        policies = build_policies(parse_rules(json.dumps(make_rules(10)), "x"), lambda _: None)
        app = create_app(
            AdmissionWebhook(
                store=SimpleNamespace(policies=policies),
                recorder=ReviewRecorder(log, metrics, History(time.time)),
                readiness=Readiness(),
                metrics=metrics,
                log=log,
                clock=time.time,
                stopwatch=time.perf_counter,
            )
        )
        self.loop = asyncio.new_event_loop()
        config = Config(app, **SETTINGS)
        table = ConnectionTable[LimitedProtocol](LIMITS.connections)
        port = Port(LIMITS, table, None, lambda *_: None)
        self._protocol = LimitedProtocol(
            config, ServerState(), {}, self.loop, port=port, address="127.0.0.1"
        )
        self._wire = Wire()
        self._protocol.connection_made(self._wire)
        self._numbers = count()

    def review(self, body: bytes = BODY) -> None:
        """Send one review, and wait for its answer."""
        self._wire.written = b""
        self._protocol.data_received(HEAD % len(body) + body)
        self.loop.run_until_complete(asyncio.sleep(0))
        assert self._wire.written.startswith(b"HTTP/1.1 200"), self._wire.written

    def review_new(self) -> None:
        """Send one review of images that are new."""
        self.review(NEW.replace(MARK.encode(), b"%012d" % next(self._numbers)))

    def close(self) -> None:
        self._protocol.connection_lost(None)
        self.loop.close()
        self._lines.close(1)
        os.close(self._file)


def trace_calls(work: Callable[[], object]) -> list[str]:
    """Return our functions that *work* calls, each with its file."""
    frames: list[FrameType] = []

    def profile(frame: FrameType, event: str, _argument: Any) -> None:
        # A coroutine that goes on is no other call.
        if event == "call" and frame not in frames:
            frames.append(frame)

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return [
        f"{path.relative_to(ROOT)}: {frame.f_code.co_qualname}"
        for frame in frames
        if frame.f_code.co_name not in COMPREHENSIONS
        and (path := Path(frame.f_code.co_filename)).is_relative_to(ROOT)
    ]


def list_files(calls: list[str]) -> set[str]:
    return {call.partition(":")[0] for call in calls}


def count_instructions(work: Callable[[], object]) -> int:
    """Return how many bytecode instructions *work* takes; a function in C is one."""
    total = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal total
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        total += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return total


def traces(connection: Connection) -> tuple[list[str], list[str]]:
    """Return the calls of a usual review, and those of one whose images are all new."""
    connection.review()
    return trace_calls(connection.review), trace_calls(connection.review_new)


def compare_reading() -> float:
    """Return how long reading a review takes, compared with decoding all of its JSON."""
    turns = [
        [timeit(lambda read=read: read(BODY), number=20) for read in (read_review, json.loads)]
        for _ in range(40)
    ]
    reading, decoding = map(min, zip(*turns, strict=True))
    return reading / decoding


def measure_path() -> Iterator[Bound]:
    """Yield what has to hold of the path of a review."""
    with closing(Connection()) as connection:
        usual, new = traces(connection)
        yield Bound("a usual review: our functions called", len(usual), CALLS, "")
        yield Bound("a usual review: our files passed", len(list_files(usual)), FILES, "")
        yield Bound("every image new: our files passed", len(list_files(new)), FILES_NEW, "")
        yield Bound("reading a review, to json.loads", compare_reading(), READING)
        if sys.version_info[:2] == VERSION:
            found = count_instructions(connection.review)
            yield Bound("a usual review: instructions", found, INSTRUCTIONS, "")
            connection.review_new()
            found = count_instructions(connection.review_new)
            yield Bound("every image new: instructions", found, INSTRUCTIONS_NEW, "")


def main() -> None:
    """Print the calls of a usual review, and those of one whose images are all new."""
    with closing(Connection()) as connection:
        usual, new = traces(connection)
    for name, calls in (("A usual review", usual), ("Every image new", new)):
        print(f"{name}: {len(calls)} calls in {len(list_files(calls))} files")
        print(*(f"  {call}" for call in calls), sep="\n")


if __name__ == "__main__":
    main()

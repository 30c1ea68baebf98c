"""A part of the path of a review that becomes slower by a fifth is told by its name.

Where a part has to do more than before, its number below is changed along with it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from contextlib import suppress
from itertools import count

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from tests.bench.bodies import MARK, review_body
from tests.bench.contestants import rules_file
from tests.bench.instructions import instructions
from tests.server.parts import Parts
from webhook.admission import answer, judge, read_review
from webhook.core import parse_reference
from webhook.server.admission import is_review
from webhook.server.direct import DirectProtocol
from webhook.server.front import Front
from webhook.server.history import History
from webhook.server.listeners import SETTINGS
from webhook.server.recording import Recording, Together
from webhook.server.telling import Telling
from webhook.telemetry import Log

FIFTH = 1.2
VERSION = (3, 11)
BODY = review_body(7_000)
NEW = review_body(7_000, marked=True)
IMAGE = "registry.k8s.io/ingress-nginx/controller:v1.12.1"
SCOPE = {
    "type": "http",
    "path": "/mutate",
    "method": "POST",
    "query_string": b"timeout=10s",
    "headers": [
        (b"host", b"mirrorhook.mirrorhook.svc:443"),
        (b"user-agent", b"kube-apiserver-admission"),
        (b"content-length", b"%d" % len(BODY)),
        (b"accept", b"application/json"),
        (b"content-type", b"application/json"),
        (b"accept-encoding", b"gzip"),
    ],
}
MOST_OF_JSON = 0.4
TOGETHER = 10


REQUEST = b"POST /mutate?timeout=10s HTTP/1.1\r\n%b\r\n%b" % (
    b"".join(b"%b: %b\r\n" % field for field in SCOPE["headers"]),
    BODY,
)


class Wire(asyncio.Transport):
    """Takes what is written."""

    def write(self, data):
        assert data.startswith(b"HTTP/1.1 200")


class Path:
    """The parts of the path of a review, each ready to be run."""

    def __init__(self):
        parts = Parts(json.dumps(rules_file(10)))
        self.policy = parts.policies["default"]
        self.decide = self.policy.decide
        self.numbers = count()
        log = Log(lambda _line: None, time.time)
        recorder = Together(Recording(log, parts.metrics), History(time.time))
        telling = Telling(recorder, log, lambda *_: None)
        self.telling = telling
        endpoint = parts.endpoint(telling)
        self.loop = asyncio.new_event_loop()
        self.front = Front(is_review, endpoint, lambda: None)
        self.connection = DirectProtocol(
            Config(self.front, **SETTINGS),
            ServerState(),
            {},
            self.loop,
            at_once=endpoint.at_once,
            waiting=set(),
        )
        self.connection.connection_made(Wire())
        self.request = read_review(BODY)[1]
        self.verdict = judge(self.request, self.policy)

    def new_image(self):
        return f"quay.io/team/app:{next(self.numbers)}"

    def new_body(self):
        return NEW.replace(MARK.encode(), b"%012d" % next(self.numbers))

    def answer(self, body):
        return answer(body, self.policy, self.telling)

    def judge(self):
        return judge(self.request, self.policy, len(BODY))

    def note(self):
        for _ in range(TOGETHER):
            self.telling.reviewed("default", self.request, self.verdict)
        self.telling.flush()

    async def receive(self):
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(self, message):
        pass

    def on_the_connection(self):
        self.connection.data_received(REQUEST)

    def whole(self):
        with suppress(StopIteration):
            self.front(SCOPE, self.receive, self.send).send(None)


@pytest.fixture(scope="module")
def path():
    made = Path()
    for _ in range(3):
        made.whole()
        made.answer(made.new_body())
        made.telling.flush()
    yield made
    made.loop.close()


PARTS = {
    "parse an image name": (lambda _: parse_reference(IMAGE), 90),
    "decide on a new image": (lambda path: path.decide(path.new_image()), 385),
    "read a review": (lambda _: read_review(BODY), 48),
    "judge a Pod of known images": (lambda path: path.judge(), 320),
    "answer a Pod of known images": (lambda path: path.answer(BODY), 778),
    "answer a Pod of new images": (lambda path: path.answer(path.new_body()), 1635),
    "note ten reviews of one verdict": (lambda path: path.note(), 4248),
    "answer on the connection": (lambda path: path.on_the_connection(), 1079),
    "answer as an application": (lambda path: path.whole(), 1129),
}


@pytest.mark.skipif(
    sys.version_info[:2] != VERSION, reason="other versions have other instructions"
)
@pytest.mark.skipif(sys.gettrace() is not None, reason="something else traces already")
@pytest.mark.parametrize("name", PARTS)
def test_no_part_takes_a_fifth_more_instructions_than_it_did(path, name):
    work, expected = PARTS[name]
    found = statistics.median(instructions(lambda: work(path)) for _ in range(5))
    assert found <= expected * FIFTH, (
        f"{name}: {found} instructions of Python, where {expected} were enough"
    )
    assert found >= expected / FIFTH, (
        f"{name}: {found} instructions of Python are enough now: write that down"
    )


def test_a_review_is_read_in_less_than_half_of_what_all_of_its_json_takes():
    pairs = [
        (seconds_of(lambda: read_review(BODY)), seconds_of(lambda: json.loads(BODY)))
        for _ in range(40)
    ]
    reading, whole = (min(times) for times in zip(*pairs, strict=True))
    assert reading < whole * MOST_OF_JSON


def seconds_of(work):
    began = time.perf_counter()
    for _ in range(20):
        work()
    return time.perf_counter() - began

"""Random byte streams over real sockets: what arrives decides, and not how it is split.

Each stream is some requests, changed at random, and is sent twice: at once, and split at random
into parts that arrive one after the other. Both answers must be the same bytes, and each must be
whole answers in the form that the webhook promises. Streams that nobody changed are also sent
request by request, on one connection that is kept and on a fresh one for each.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field

from tests.attack.test_http import CHUNK, CHUNKED, JSON, LAST, REQUESTS, build, post
from tests.server.parts import Parts
from tests.server.raw_http import run_listener
from webhook.server.http import ConnectionLimits
from webhook.telemetry import redirect_logging

__all__ = ["StreamCounts", "find_difference", "fuzz_streams"]

# Long and wide enough for a loaded machine, where connections wait to be closed.
LIMITS = ConnectionLimits(idle=600, request=600, linger=60, connections=10_000)
AT_ONCE = 100
PATIENCE = 30.0
# Seconds without an answer after which none is expected.
QUIET = 0.3
LONGER = (1.0, 5.0)
PASSES = 20  # of the event loop, in which all that has arrived is read and answered
DATE = re.compile(rb"date: [^\r]*\r\n")
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
STATUS = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [^\r\n]*\r\n")
END = build(b"", "connection: close", line="GET /end HTTP/1.1")
WHOLE = [
    post(),
    post(line="POST /mutate/other HTTP/1.1"),
    build(CHUNK + LAST, JSON, CHUNKED),
    build(b"{}", JSON, "content-length: 2"),
    build(b"", line="GET /mutate HTTP/1.1"),
]
POOL = [*WHOLE, *(sent for sent, _ in REQUESTS.values() if len(sent) < 4096)]
TOKENS = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b":", b" ", b"\0", b"\t", b"0\r\n\r\n", b"HTTP/1.1"),
    *(b"content-length: 0\r\n", b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n"),
    *(b"connection: close\r\n", b"connection: keep-alive\r\n", b"expect: 100-continue\r\n"),
    *(b"upgrade: h2c\r\nconnection: upgrade\r\n", b"host: y\r\n", b"ffffffffffffffff\r\n", b";a=b"),
    *(b"POST /mutate HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
]


@dataclass
class StreamCounts:
    """What was sent so far.

    Attributes:
        streams: Streams.
        connections: Connections.
        findings: What went wrong: the bytes that were sent, and why.
    """

    streams: int = 0
    connections: int = 0
    findings: list[tuple[bytes, str]] = field(default_factory=list)


def change(generator, stream):
    """Return a stream with some random changes."""
    changed = bytearray(stream)
    for _ in range(generator.choice((1, 1, 1, 2, 3, 8))):
        start = generator.randrange(len(changed) + 1)
        end = min(len(changed), start + generator.choice((1, 1, 2, 8, 64)))
        match generator.randrange(5):
            case 0:
                changed[start:end] = b""
            case 1:
                changed[start:start] = generator.choice(TOKENS)
            case 2:
                changed[start:end] = generator.randbytes(end - start)
            case 3:
                changed[start:start] = changed[start:end]
            case _:
                changed[start:end] = generator.choice(TOKENS)
    return bytes(changed)


def make_stream(generator):
    """Return a random stream, and the requests that it consists of if it was not changed."""
    kind = generator.randrange(20)
    if kind == 0:
        return generator.randbytes(generator.randrange(200)) + END, None
    if kind < 4:
        requests = [*generator.choices(WHOLE, k=generator.randrange(1, 5)), END]
        return b"".join(requests), requests
    requests = generator.choices(POOL, k=generator.randrange(1, 4))
    return change(generator, b"".join(requests)) + END, None


def cut(generator, stream):
    """Return a stream in parts."""
    if generator.randrange(10) == 0 and len(stream) < 400:
        return [stream[index : index + 1] for index in range(len(stream))]
    count = min(generator.randrange(1, 7), len(stream) - 1)
    ends = [*sorted(generator.sample(range(1, len(stream)), count)), len(stream)]
    return [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]


async def exchange(address, parts, quiet):
    """Send parts one after the other, and return all that comes back until the end.

    A stream may end within a request: when nothing comes back for some seconds, the client ends
    its side.
    """
    received = bytearray()
    with socket.create_connection(address) as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A client that reads while it sends misses nothing of an answer that comes early.
        receiving = asyncio.create_task(receive(connection, received))
        try:
            await asyncio.wait_for(send(connection, parts), PATIENCE)
            size = -1
            while not receiving.done() and size < len(received):
                size = len(received)
                await asyncio.wait([receiving], timeout=quiet)
                # The time may have passed while this process, which also serves, was not running.
                for _ in range(PASSES):
                    await asyncio.sleep(0)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            await asyncio.wait_for(receiving, PATIENCE)
        finally:
            receiving.cancel()
            await asyncio.wait([receiving])
    return DATE.sub(b"", bytes(received))


async def receive(connection, received):
    """Add what comes to *received* until the end."""
    with suppress(ConnectionError):
        while part := await asyncio.get_running_loop().sock_recv(connection, 65536):
            received += part


async def send(connection, parts):
    """Send parts one after the other."""
    with suppress(ConnectionError):
        for part in parts:
            await asyncio.get_running_loop().sock_sendall(connection, part)
            # The server runs in the same loop: it reads what has arrived before this goes on.
            await asyncio.sleep(0)
            await asyncio.sleep(0)


def split_answers(received):
    """Return the status and the body of each answer.

    Raises:
        ValueError: Something else was received than whole answers.
    """
    answers = []
    position = 0
    while position < len(received):
        status = STATUS.match(received, position)
        end = received.find(b"\r\n\r\n", position)
        if status is None or end < 0:
            raise ValueError(f"no answer: {received[position : position + 80]!r}")
        length = LENGTH.search(received, position, end + 2)
        if status[1] == b"100":
            position = end + 4
            continue
        if length is None:
            raise ValueError("an answer without a length")
        position = end + 4 + int(length[1])
        body = received[end + 4 : position]
        if position > len(received):
            raise ValueError("an answer that is not whole")
        if json.loads(body)["kind"] != ("AdmissionReview" if status[1] == b"200" else "Status"):
            raise ValueError(f"an answer of another form: {body[:80]!r}")
        answers.append((int(status[1]), body))
    return answers


def are_alike(answers, split):
    """Return whether answers differ only in why the last request is refused.

    A request may be wrong in several ways, of which the first one to be seen is reported.
    """
    try:
        others = split_answers(split)
    except ValueError:
        return False
    return (
        len(others) == len(answers)
        and others[:-1] == answers[:-1]
        and min(others[-1][0], answers[-1][0]) >= 400
    )


async def find_difference(address, stream, parts, requests, counts, quiet):
    """Send a stream in all ways, and return what is wrong; empty if nothing is."""
    try:
        return await compare_answers(address, stream, parts, requests, counts, quiet)
    except TimeoutError:
        return f"no end within {PATIENCE:g} seconds"


async def compare_answers(address, stream, parts, requests, counts, quiet):
    """Send a stream in all ways, and return what is wrong; empty if nothing is.

    Raises:
        TimeoutError: A connection does not end.
    """
    whole, split = await asyncio.gather(
        exchange(address, [stream], quiet), exchange(address, parts, quiet)
    )
    counts.connections += 2
    try:
        answers = split_answers(whole)
    except ValueError as error:
        return str(error)
    if whole != split and not are_alike(answers, split):
        return f"at once {whole[-300:]!r}, split {split[-300:]!r}"
    if requests is not None:
        fresh = await asyncio.gather(
            *(exchange(address, [each + END], quiet) for each in requests[:-1])
        )
        counts.connections += len(fresh)
        alone = [split_answers(each)[0] for each in fresh]
        if answers[:-1] != alone:
            return f"kept {answers[:-1]!r}, fresh {alone!r}"
    return ""


async def fuzz_streams(*, seconds=float("inf"), executions=float("inf"), seed=0, limit=10):
    """Send streams until the time is over or there are enough, or too much is wrong."""
    counts = StreamCounts()
    generator = random.Random(seed)
    parts = Parts(
        "rules: [{match: docker.io, mirrors: [harbor.example.com/hub]}]\n"
        "policies: {other: {rules: [{match: docker.io, mirrors: [harbor.example.com/other]}]}}\n",
        log_level="error",
    )
    redirect_logging(parts.log, "uvicorn.error")
    suspects = []
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    end = time.monotonic() + seconds

    async def work(address):
        while time.monotonic() < end and counts.streams < executions:
            counts.streams += 1
            stream, requests = make_stream(generator)
            sent = cut(generator, stream)
            if await find_difference(address, stream, sent, requests, counts, QUIET):
                suspects.append((stream, sent, requests))

    async with run_listener(parts, LIMITS) as listener:
        address = listener.socket.getsockname()
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work(address))
        # What a loaded machine delayed is no difference when it is sent alone, with more time.
        for stream, sent, requests in suspects:
            for quiet in LONGER:
                problem = await find_difference(address, stream, sent, requests, counts, quiet)
                if not problem:
                    break
            else:
                counts.findings.append((stream, problem))
            if len(counts.findings) == limit:
                break
    counts.findings += [(b"", f"the server failed: {each}") for each in (*errors, *parts.failures)]
    return counts

"""What is answered on the connection is answered as by the application."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.conftest import review_of
from tests.server.parts import Parts
from tests.server.talking import (
    HEAD,
    answered,
    connect,
    for_application,
    request,
    served,
    whole_answer,
)
from webhook.server.direct import MAX_BODY
from webhook.server.protocol import Limits

REVIEW = review_of("nginx", "quay.io/a/b:1")
LARGE = REVIEW + b" " * MAX_BODY
LENGTH = b"content-length: %d\r\n" % len(REVIEW)
CHUNKED = f"{HEAD}transfer-encoding: chunked\r\n\r\n{len(REVIEW):x}\r\n".encode()
REQUESTS = {
    "a review": request(REVIEW),
    "a review of another policy": request(REVIEW).replace(b"/mutate", b"/mutate/watching"),
    "with a deadline": request(REVIEW).replace(b"/mutate", b"/mutate?timeout=3s"),
    "a large review": request(LARGE),
    "in chunks": CHUNKED + REVIEW + b"\r\n0\r\n\r\n",
    "a content type with parameters": for_application(request(REVIEW)),
    "another content type": request(REVIEW).replace(b"application/json", b"text/plain"),
    "no such policy": request(REVIEW).replace(b"/mutate", b"/mutate/none"),
    "the default policy by no name": request(REVIEW).replace(b"/mutate", b"/mutate/"),
    "elsewhere": request(REVIEW).replace(b"/mutate", b"/other"),
    "a path of no characters": request(REVIEW).replace(b"/mutate", b"/mutate/\xc3\xa4"),
    "another method": request(REVIEW).replace(b"POST", b"PUT"),
    "no JSON": request(b"nginx"),
    "no body": request(b""),
    "the last of its connection": request(REVIEW, "connection: close\r\n"),
    "an older protocol": request(REVIEW).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "another length": request(REVIEW + b" "),
    "a length with zeros before it": request(REVIEW).replace(b"length: ", b"length: 00"),
    "a length with a sign": request(REVIEW).replace(b"length: ", b"length: +"),
    "a length in parts": request(REVIEW).replace(b"length: ", b"length: 1_"),
    "no length": request(REVIEW).replace(LENGTH, b""),
    "an empty length": request(REVIEW).replace(LENGTH, b"content-length: \r\n"),
    "two lengths": request(REVIEW).replace(LENGTH, LENGTH * 2),
    "a length and chunks": request(REVIEW, "transfer-encoding: chunked\r\n"),
    "a field more": request(REVIEW, "x-more: 1\r\n"),
    "a folded field": request(REVIEW, " 1\r\n"),
    "in capitals": request(REVIEW).replace(b"content-length", b"CONTENT-LENGTH"),
    "lines that end otherwise": request(REVIEW).replace(b"\r\n", b"\n"),
    "an empty line before it": b"\r\n" + request(REVIEW),
}
UIDS = ["1", "22", "333"]
SOON = Limits(linger=0.05)
DATE = re.compile(rb"date: [^\r]+\r\n")


async def conversation(listener, *parts, before=0):
    """Return what comes back, but for the date, and whether the connection stays open.

    Some requests come before, after which the head of a review is known.
    """
    reader, writer = await connect(listener)
    for _ in range(before):
        writer.write(request(REVIEW))
        await whole_answer(reader)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0.01 if len(parts) > 1 else 0)
    head, body = await whole_answer(reader)
    writer.write(request(REVIEW))
    stays = b"HTTP/1.1 200" in await reader.read(12)
    writer.close()
    return DATE.sub(b"", head), body, stays


@pytest.mark.anyio
@pytest.mark.parametrize("name", REQUESTS)
async def test_both_ways_answer_in_the_same_words(name):
    sent = REQUESTS[name]
    half = len(sent) // 2
    answers = []
    for at_once in (True, False):
        async with served(Parts(), SOON, at_once=at_once) as listener:
            for before in (0, 2):
                answers.append(await conversation(listener, sent, before=before))
            parts = sent[:half], sent[half:]
            answers.append(await conversation(listener, *parts, before=before))
    assert len(set(answers)) == 1, answers


def told(parts):
    return [
        {key: value for key, value in line.items() if key not in ("time", "client")}
        for line in parts.lines
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("name", REQUESTS)
async def test_both_ways_note_the_same(name):
    sides = Parts(), Parts()
    for parts, at_once in zip(sides, (True, False), strict=True):
        async with served(parts, SOON, at_once=at_once) as listener:
            await conversation(listener, REQUESTS[name], before=2)
    assert told(sides[0]) == told(sides[1])
    first, second = (counted(parts) for parts in sides)
    assert first == second


def counted(parts):
    exposition, _ = parts.metrics.exposition("text/plain")
    kept = ("mirrorhook_reviews", "mirrorhook_images", "mirrorhook_requests")
    lines = exposition.decode().splitlines()
    return [line for line in lines if line.startswith((*kept, DURATIONS))]


DURATIONS = "mirrorhook_review_duration_seconds_count"


@pytest.mark.anyio
async def test_no_task_is_made_for_a_review():
    async with served() as listener:
        reader, writer = await connect(listener)
        for _ in range(3):
            writer.write(request(REVIEW))
            await whole_answer(reader)
        (connection,) = listener.server.server_state.connections
        assert connection.latest is None
        writer.close()


@pytest.mark.anyio
async def test_a_head_that_came_before_is_not_parsed_again():
    async with served() as listener:
        reader, writer = await connect(listener)
        writer.write(request(REVIEW))
        await whole_answer(reader)
        (connection,) = listener.server.server_state.connections
        connection.parser = None
        for uid in ("1", "2345678"):
            writer.write(request(review_of("nginx", uid=uid)))
            _, body = await whole_answer(reader)
            assert json.loads(body)["response"]["uid"] == uid
        writer.close()


async def slowly(scope, receive, send):
    await receive()
    await asyncio.sleep(0.2)
    head = {"type": "http.response.start", "status": 200}
    await send({**head, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


class Slow(Parts):
    """An application that takes its time."""

    def app(self, recorder=None):
        return slowly


@pytest.mark.anyio
async def test_what_the_application_still_has_in_hand_is_answered_first():
    async with served(Slow(), Limits()) as listener:
        reader, writer = await connect(listener)
        slow = for_application(request(REVIEW))
        writer.write(slow + request(REVIEW))
        await asyncio.sleep(0.05)
        writer.write(request(REVIEW))
        bodies = [(await whole_answer(reader))[1] for _ in range(3)]
        writer.close()
    # The others waited for their turn, so that the application has them, too.
    assert bodies == [b"{}", b"{}", b"{}"]


@given(cuts=st.lists(st.integers(1, 3 * len(REQUESTS["a review"]) - 1), max_size=5))
def test_wherever_a_connection_cuts_them_reviews_are_answered_in_their_order(cuts):
    async def asked():
        async with served(Parts(), Limits()) as listener:
            reader, writer = await connect(listener)
            reviews = [review_of("nginx", uid=uid) for uid in UIDS]
            sent = b"".join(map(request, reviews))
            ends = [*sorted(set(cuts)), len(sent)]
            for start, end in zip([0, *ends], ends, strict=False):
                writer.write(sent[start:end])
                await asyncio.sleep(0.001)
            answers = [json.loads((await whole_answer(reader))[1]) for _ in UIDS]
            writer.close()
            return [answer["response"]["uid"] for answer in answers]

    assert asyncio.run(asked()) == UIDS


@pytest.mark.anyio
async def test_a_connection_is_idle_since_its_last_answer():
    async with served(Parts(), Limits(idle=2)) as listener:
        reader, writer = await connect(listener)
        for _ in range(4):
            writer.write(request(REVIEW))
            await whole_answer(reader)
            await asyncio.sleep(0.8)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


@pytest.mark.anyio
async def test_a_review_that_is_half_sent_at_the_end_is_answered():
    sent = request(REVIEW)
    async with served(Parts(), Limits()) as listener:
        reader, writer = await connect(listener)
        writer.write(sent)
        await whole_answer(reader)
        writer.write(sent[:-5])
        await asyncio.sleep(0.05)
        listener.server.should_exit = True
        await asyncio.sleep(0.3)
        writer.write(sent[-5:])
        head, body = await whole_answer(reader)
        assert json.loads(body)["response"]["patch"]
        assert b"connection: close" in head
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


@pytest.mark.anyio
async def test_a_replica_that_drains_closes_with_each_answer():
    parts = Parts()
    parts.readiness.drain()
    async with served(parts, Limits()) as listener:
        reader, writer = await connect(listener)
        writer.write(request(REVIEW))
        head, _ = await whole_answer(reader)
        assert b"connection: close" in head
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


@pytest.mark.anyio
async def test_what_is_wrong_in_the_middle_of_a_body_is_refused_in_words():
    async with served(Parts(), Limits(linger=0.3)) as listener:
        reader, writer = await connect(listener)
        writer.write(CHUNKED + REVIEW + b"nothing of the kind\r\n")
        assert (await answered(reader))[0] == 400
        writer.close()


@pytest.mark.anyio
async def test_who_reads_no_answer_is_not_answered_without_end():
    async with served(Parts(), Limits()) as listener:
        reader, writer = await connect(listener)
        writer.transport.set_write_buffer_limits(high=0)
        sending = asyncio.create_task(sent_without_end(writer))
        reader._transport.pause_reading()
        await asyncio.sleep(2)
        (connection,) = listener.server.server_state.connections
        assert connection.transport.get_write_buffer_size() < 1024 * 1024
        sending.cancel()
        writer.transport.abort()


async def sent_without_end(writer):
    while True:
        writer.write(request(REVIEW) * 20)
        await writer.drain()

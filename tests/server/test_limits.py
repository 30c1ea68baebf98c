"""What one connection may take from the others."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress

import pytest

from tests.server.parts import Parts
from tests.server.raw_http import (
    HEAD,
    build_request,
    connect,
    read_answer,
    read_refusal,
    run_listener,
)
from webhook.server.http import LIMITS, ConnectionLimits
from webhook.server.limits import MAX_BUFFERED
from webhook.server.listener import ListenError, listen


def test_idle_limit_is_longer_than_that_of_the_api_server():
    assert LIMITS.idle > 90


@pytest.mark.anyio
async def test_old_connection_ends_with_a_response():
    async with run_listener(limits=ConnectionLimits(age=1.0)) as listener:
        reader, writer = await connect(listener)
        head, answers = b"", 0
        while b"connection: close" not in head:
            writer.write(build_request(b"{}"))
            head, body = await read_answer(reader)
            assert json.loads(body)["message"]
            answers += 1
            await asyncio.sleep(0.05)
        assert 1 < answers < 50
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()
        await writer.wait_closed()


BEGINNINGS = {
    "a letter": "P",
    "half a head": "POST /mutate HTTP/1.1\r\nhost:",
    "a head without its end": HEAD,
    "a head without its body": f"{HEAD}content-length: 9\r\n\r\n",
    "half a body": f"{HEAD}content-length: 9\r\n\r\n{{",
    "half a chunk": f"{HEAD}transfer-encoding: chunked\r\n\r\n4\r\n{{",
}


@pytest.mark.anyio
async def test_request_that_stops_arriving_is_refused():
    async with run_listener() as listener:

        async def told(beginning):
            reader, writer = await connect(listener)
            writer.write(beginning.encode())
            answer = await read_refusal(reader)
            writer.close()
            return answer

        answers = await asyncio.gather(*map(told, BEGINNINGS.values()))
    gone = (408, "the request was not complete after 0.3 seconds")
    assert dict(zip(BEGINNINGS, answers, strict=True)) == dict.fromkeys(BEGINNINGS, gone)


@pytest.mark.anyio
async def test_request_that_arrives_too_slowly_is_refused():
    async with run_listener() as listener:
        reader, writer = await connect(listener)
        writer.write(f"{HEAD}content-length: 99\r\n\r\n".encode())
        for _ in range(14):
            writer.write(b" ")
            await asyncio.sleep(0.1)
        assert (await read_refusal(reader))[0] == 408
        writer.close()


@pytest.mark.anyio
async def test_second_request_has_its_own_time_limit(review_of):
    async with run_listener(limits=ConnectionLimits(request=0.3)) as listener:
        reader, writer = await connect(listener)
        writer.write(build_request(review_of("nginx")))
        await read_answer(reader)
        await asyncio.sleep(1.5)
        writer.write(build_request(review_of("nginx")))
        head, _ = await read_answer(reader)
        assert head.startswith(b"HTTP/1.1 200")
        writer.write(b"POST")
        assert (await read_refusal(reader))[0] == 408
        writer.close()


@pytest.mark.anyio
async def test_unused_connection_is_closed():
    async with run_listener() as listener:
        reader, writer = await connect(listener)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([f"GET / HTTP/1.1\r\na: {'x' * 5000}\r\n\r\n"], 431),
        ([f"GET /{'x' * 5000} HTTP/1.1\r\n\r\n"], 431),
        (["GET / HTTP/1.1\r\n", *["a: b\r\n" * 100] * 20], 431),
        (["GET / HTTP/1.1\r\na: ", *["x" * 1000] * 10], 431),
        (["GARBAGE\r\n\r\n"], 400),
        (["GET / HTTP/1.1\r\na b: c\r\n\r\n"], 400),
        (["CONNECT a:443 HTTP/1.1\r\n\r\n"], 400),
        ([f"{HEAD}content-length: x\r\n\r\n"], 400),
        ([f"{HEAD}content-length: -1\r\n\r\n"], 400),
        ([f"{HEAD}content-length: 1\r\ncontent-length: 2\r\n\r\n{{"], 400),
        ([f"{HEAD}content-length: {'9' * 30}\r\n\r\n"], 400),
        ([f"{HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n"], 400),
        ([f"{HEAD}transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n{{"], 400),
        (["OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"], 404),
        (["GET /mutate%00 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"], 404),
        (["GET /%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"], 404),
    ],
)
async def test_malformed_request_is_refused_with_a_message(parts, status):
    async with run_listener(limits=ConnectionLimits(linger=0.3, head=4096)) as listener:
        reader, writer = await connect(listener)
        for part in parts:
            writer.write(part.encode())
            await asyncio.sleep(0.01)
        assert (await read_refusal(reader))[0] == status
        writer.close()


@pytest.mark.anyio
async def test_head_limit_does_not_count_the_body(review_of):
    body = review_of("nginx") + b" " * 50_000
    async with run_listener(limits=ConnectionLimits(head=4096)) as listener:
        reader, writer = await connect(listener)
        sent = build_request(body)
        writer.write(sent[:30])
        await asyncio.sleep(0.1)
        writer.write(sent[30:])
        assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.anyio
async def test_client_that_disconnects_halfway_leaves_nothing_behind(review_of):
    parts = Parts()
    async with run_listener(parts) as listener:
        for _ in range(600):  # more than may be in hand at once
            _, writer = await connect(listener)
            writer.write(f"{HEAD}content-length: 9\r\n\r\n{{".encode())
            writer.transport.abort()
        reader, writer = await connect(listener)
        writer.write(build_request(review_of("nginx")))
        assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200")
        writer.close()
    assert not parts.failures


async def connect_from(listener, source):
    return await asyncio.open_connection(*listener.socket.getsockname(), local_addr=(source, 0))


@pytest.mark.anyio
async def test_bodies_that_fill_the_memory_get_503_and_others_are_answered(review_of):
    size = 7 * 1024 * 1024
    async with run_listener(limits=ConnectionLimits(request=10.0)) as listener:

        async def send():
            reader, writer = await connect_from(listener, "127.0.0.2")
            writer.write(f"{HEAD}content-length: {size}\r\n\r\n".encode())
            writer.write(b" " * (size - 1))
            try:
                return await read_answer(reader)
            finally:
                writer.transport.abort()

        large = review_of("nginx") + b" " * (3 * 1024 * 1024)
        sending = [asyncio.create_task(send()) for _ in range(11)]
        for _ in range(10):
            reader, writer = await connect(listener)
            writer.write(build_request(large))
            assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200")
            writer.close()
        done, pending = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        for head, body in (task.result() for task in done):
            assert head.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1\r\n" in head
            assert "try again" in json.loads(body)["message"]
        assert len(pending) * size <= MAX_BUFFERED
        for task in pending:
            task.cancel()
        await asyncio.wait(pending)


@pytest.mark.anyio
async def test_full_port_closes_the_oldest_quiet_connection_of_who_has_most(review_of):
    limits = ConnectionLimits(connections=10)
    async with run_listener(limits=limits) as listener:
        own = [await connect(listener) for _ in range(3)]
        for reader, writer in own:
            writer.write(build_request(review_of("nginx")))
            await read_answer(reader)
        flood = []
        for number in range(40):
            flood.append(await connect_from(listener, f"127.0.0.{2 + number % 2}"))
            await asyncio.sleep(0.005)
        for reader, writer in flood[:-7]:
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 60) == b""
            writer.close()
        for reader, writer in (*own, *flood[-7:]):
            writer.write(build_request(review_of("nginx")))
            assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200")
            writer.close()


@pytest.mark.anyio
async def test_one_address_has_at_most_half_of_the_connections(review_of):
    async with run_listener(limits=ConnectionLimits(connections=10)) as listener:
        flood = [await connect(listener) for _ in range(30)]
        for reader, writer in flood[:25]:
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 60) == b""
            writer.close()
        for reader, writer in flood[25:]:
            writer.write(build_request(review_of("nginx")))
            assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200")
            writer.close()


@pytest.mark.anyio
async def test_connection_is_refused_while_all_others_are_answered():
    released, waiting = asyncio.Event(), asyncio.Semaphore(0)

    async def app(scope, receive, send):
        await receive()
        waiting.release()
        await released.wait()
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async with run_listener(limits=ConnectionLimits(connections=4), app=app) as listener:
        busy = [await connect_from(listener, f"127.0.0.{2 + number}") for number in range(4)]
        for _, writer in busy:
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await waiting.acquire()
        reader, writer = await connect(listener)
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()
        released.set()
        for reader, writer in busy:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
            writer.close()


@pytest.mark.anyio
async def test_unread_answers_are_bounded_in_bytes_and_time():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x" * 8_000_000})

    limits = ConnectionLimits(request=1.0, unread=10_000_000)
    async with run_listener(limits=limits, app=app) as listener:
        unread = []
        for _ in range(4):
            reader, writer = await connect(listener)
            reader._transport.pause_reading()
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            unread.append(writer)
            await asyncio.sleep(0.1)
        left = listener.server.server_state.connections
        assert sum(each.unread for each in left) <= limits.unread
        assert len(left) < len(unread)
        for _ in range(600):
            if not left:
                break
            await asyncio.sleep(0.1)
        assert not left
        for writer in unread:
            writer.transport.abort()


def test_listen_names_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"port {port} of 127.0.0.1: Address alr"):
            listen("127.0.0.1", port, Parts().app())

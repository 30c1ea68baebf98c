"""HTTP/1.1 over a real socket, byte by byte."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import struct
import weakref

import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from hypothesis import given
from hypothesis import strategies as st

from tests.server.conftest import review_of
from tests.server.parts import Parts
from tests.server.process import JSON
from tests.server.raw_http import (
    HEAD,
    build_request,
    connect,
    read_answer,
    read_refusal,
    run_listener,
)
from tests.tools import loopback
from tests.tools.waiting import until
from webhook.server.http import ConnectionLimits
from webhook.server.operations import HeadAsGet, create_operations_app

REVIEW = review_of("nginx", "quay.io/a/b:1")
CHUNKED = f"{HEAD}transfer-encoding: chunked\r\n\r\n{len(REVIEW):x}\r\n".encode()
SOON = 60.0


async def read(reader, count=1 << 20):
    return await asyncio.wait_for(reader.read(count), SOON)


async def read_head(reader):
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)


def fields_of(head):
    """The status line and the fields, but for those that differ from moment to moment."""
    lines = head.lower().split(b"\r\n")
    return lines[0], sorted(line for line in lines[1:] if not line.startswith(b"date:"))


def an_app():
    """An application with the kinds of answers that are not one whole body."""
    app = FastAPI()
    app.add_middleware(HeadAsGet)
    app.state.parts = asyncio.Queue()

    @app.get("/empty")
    async def empty():
        return Response(status_code=204)

    @app.get("/same")
    async def same():
        return Response(status_code=304, headers={"etag": '"1"'})

    @app.get("/stream")
    async def stream():
        async def parts():
            while part := await app.state.parts.get():
                yield part

        return StreamingResponse(parts(), media_type="text/plain")

    @app.get("/broken")
    async def broken():
        async def parts():
            yield b"a"
            raise ValueError

        return StreamingResponse(parts(), headers={"content-length": "9"})

    return app


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/none"])
async def test_head_is_answered_at_once_with_the_headers_of_get(path):
    parts = Parts()
    async with run_listener(app=create_operations_app(parts.readiness, parts.metrics)) as listener:
        reader, writer = await connect(listener)
        heads = []
        for method in ("HEAD", "GET", "HEAD"):
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            if method == "GET":
                head, body = await read_answer(reader)
                assert body
            else:
                head = await read_head(reader)
            heads.append(fields_of(head))
        writer.close()
    assert heads[0] == heads[1] == heads[2]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/mutate", "/mutate/none", "/"])
async def test_head_on_the_review_port_is_refused_at_once(path):
    async with run_listener() as listener:
        reader, writer = await connect(listener)
        for _ in range(2):
            writer.write(f"HEAD {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            head = await read_head(reader)
            assert head.startswith(b"HTTP/1.1 404" if path == "/" else b"HTTP/1.1 405")
        writer.close()


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "status"), [("/empty", b"204"), ("/same", b"304")])
async def test_response_without_body_ends_with_its_head(path, status):
    async with run_listener(app=an_app()) as listener:
        reader, writer = await connect(listener)
        for method in ("GET", "HEAD", "GET"):
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            head = await read_head(reader)
            assert head.startswith(b"HTTP/1.1 " + status)
            assert b"transfer-encoding" not in head
        writer.write(b"GET /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert (await read(reader)).startswith(b"HTTP/1.1 404")
        writer.close()


@pytest.mark.anyio
async def test_streamed_response_arrives_part_by_part():
    app = an_app()
    async with run_listener(app=app, limits=ConnectionLimits()) as listener:
        reader, writer = await connect(listener)
        for _ in range(2):
            writer.write(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
            app.state.parts.put_nowait(b"one")
            head = await read_head(reader)
            assert b"transfer-encoding: chunked" in head
            assert await read(reader) == b"3\r\none\r\n"
            app.state.parts.put_nowait(b"four")
            assert await read(reader) == b"4\r\nfour\r\n"
            app.state.parts.put_nowait(b"")
            assert await read(reader) == b"0\r\n\r\n"
        writer.close()


@pytest.mark.anyio
async def test_head_of_a_streamed_response_has_no_body():
    app = an_app()
    async with run_listener(app=app, limits=ConnectionLimits()) as listener:
        reader, writer = await connect(listener)
        writer.write(b"HEAD /stream HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await read_head(reader)).startswith(b"HTTP/1.1 200")
        app.state.parts.put_nowait(b"one")
        app.state.parts.put_nowait(b"")
        writer.write(b"GET /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert (await read(reader)).startswith(b"HTTP/1.1 404")
        writer.close()


@pytest.mark.anyio
async def test_stream_that_breaks_off_ends_the_connection():
    async with run_listener(app=an_app()) as listener:
        reader, writer = await connect(listener)
        writer.write(b"GET /broken HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await read_head(reader)).startswith(b"HTTP/1.1 200")
        assert await read(reader) == b"a"
        assert await read(reader) == b""
        writer.close()


@pytest.mark.anyio
async def test_expect_continue_is_answered_before_the_body():
    async with run_listener() as listener:
        reader, writer = await connect(listener)
        for _ in range(2):
            writer.write(build_request(REVIEW, "expect: 100-continue\r\n")[: -len(REVIEW)])
            assert await read_head(reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(REVIEW)
            assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.anyio
async def test_expect_continue_with_a_large_body_is_refused_before_it_is_sent():
    async with run_listener() as listener:
        reader, writer = await connect(listener)
        head = f"{HEAD}content-length: {8 << 20}\r\nexpect: 100-continue\r\n\r\n"
        writer.write(head.encode())
        assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 413")
        writer.close()


@pytest.mark.anyio
async def test_pipelined_requests_are_answered_in_order():
    get = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    head = b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n"
    async with run_listener() as listener:
        reader, writer = await connect(listener)
        writer.write(build_request(REVIEW) + head + get + CHUNKED + REVIEW + b"\r\n0\r\n\r\n" + get)
        assert json.loads((await read_answer(reader))[1])["response"]["patch"]
        assert (await read_head(reader)).startswith(b"HTTP/1.1 404")
        assert json.loads((await read_answer(reader))[1])["code"] == 404
        assert json.loads((await read_answer(reader))[1])["response"]["patch"]
        assert json.loads((await read_answer(reader))[1])["code"] == 404
        writer.close()


UIDS = ["1", "22", "333"]


@given(cuts=st.lists(st.integers(1, 3 * len(build_request(REVIEW)) - 1), max_size=5))
def test_pipelined_reviews_are_answered_in_order_wherever_they_are_split(cuts):
    async def asked():
        async with run_listener(Parts(), ConnectionLimits()) as listener:
            reader, writer = await connect(listener)
            sent = b"".join(build_request(review_of("nginx", uid=uid)) for uid in UIDS)
            ends = [*sorted(set(cuts)), len(sent)]
            for start, end in zip([0, *ends], ends, strict=False):
                writer.write(sent[start:end])
                await asyncio.sleep(0.001)
            answers = [json.loads((await read_answer(reader))[1]) for _ in UIDS]
            writer.close()
            return [answer["response"]["uid"] for answer in answers]

    assert asyncio.run(asked()) == UIDS


UPGRADE = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAA\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.mark.anyio
@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
@pytest.mark.parametrize("behind", [b"", PREFACE, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"])
async def test_upgrade_is_answered_in_http_1_and_the_connection_closed(protocol, behind):
    parts = Parts()
    async with run_listener(app=create_operations_app(parts.readiness, parts.metrics)) as listener:
        reader, writer = await connect(listener)
        upgrade = UPGRADE.replace("h2c", protocol)
        writer.write(f"GET /healthz HTTP/1.1\r\nhost: x\r\n{upgrade}\r\n".encode() + behind)
        head, body = await read_answer(reader)
        assert (head[:12], body) == (b"HTTP/1.1 200", b"ok\n")
        assert b"connection: close" in head
        assert await read(reader) == b""
        writer.close()


@pytest.mark.anyio
@pytest.mark.parametrize("behind", [b"", PREFACE, build_request(REVIEW)])
@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.0"])
async def test_review_that_asks_for_an_upgrade_is_answered_as_a_review(protocol, behind):
    upgrade = UPGRADE.replace("h2c", protocol).encode()
    chunked = CHUNKED.replace(b"\r\n", b"\r\n" + upgrade, 1) + REVIEW + b"\r\n0\r\n\r\n"
    for sent in (build_request(REVIEW, upgrade.decode()) + behind, chunked + behind):
        for cut in (1, 30, 200, 300, len(sent) - len(behind) - 1):
            async with run_listener(limits=ConnectionLimits()) as listener:
                reader, writer = await connect(listener)
                writer.write(sent[:cut])
                await asyncio.sleep(0.005)
                writer.write(sent[cut:])
                head, body = await read_answer(reader)
                assert head.startswith(b"HTTP/1.1 200")
                assert b"connection: close" in head
                assert json.loads(body)["response"]["patch"]
                assert await read(reader) == b""
                writer.close()


async def slowly(scope, receive, send):
    await receive()
    await asyncio.sleep(0.2)
    head = {"type": "http.response.start", "status": 200}
    await send({**head, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


@pytest.mark.anyio
async def test_pipelined_request_waits_for_the_response_before_it():
    async with run_listener(app=slowly, limits=ConnectionLimits()) as listener:
        reader, writer = await connect(listener)
        writer.write(build_request(REVIEW) * 2)
        await asyncio.sleep(0.05)
        writer.write(build_request(REVIEW))
        assert [(await read_answer(reader))[1] for _ in range(3)] == [b"{}"] * 3
        writer.close()


@pytest.mark.anyio
async def test_idle_time_begins_with_the_last_response():
    async with run_listener(limits=ConnectionLimits(idle=4)) as listener:
        reader, writer = await connect(listener)
        for _ in range(4):
            writer.write(build_request(REVIEW))
            await read_answer(reader)
            await asyncio.sleep(1.2)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


@pytest.mark.anyio
async def test_review_that_arrives_during_shutdown_is_answered():
    sent = build_request(REVIEW)
    async with run_listener(limits=ConnectionLimits()) as listener:
        reader, writer = await connect(listener)
        writer.write(sent)
        await read_answer(reader)
        writer.write(sent[:-5])
        await asyncio.sleep(0.05)
        listener.server.should_exit = True
        await asyncio.sleep(0.3)
        writer.write(sent[-5:])
        head, body = await read_answer(reader)
        assert json.loads(body)["response"]["patch"]
        assert b"connection: close" in head
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


@pytest.mark.anyio
async def test_draining_replica_closes_the_connection_with_its_response():
    parts = Parts()
    parts.readiness.drain()
    async with run_listener(parts, ConnectionLimits()) as listener:
        reader, writer = await connect(listener)
        writer.write(build_request(REVIEW))
        head, _ = await read_answer(reader)
        assert b"connection: close" in head
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


@pytest.mark.anyio
async def test_malformed_chunk_is_refused_with_a_message():
    async with run_listener(limits=ConnectionLimits(linger=0.3)) as listener:
        reader, writer = await connect(listener)
        writer.write(CHUNKED + REVIEW + b"nothing of the kind\r\n")
        assert (await read_refusal(reader))[0] == 400
        writer.close()


@pytest.mark.anyio
async def test_nothing_is_asked_for_after_a_request_was_refused(caplog):
    expecting = CHUNKED.replace(b"\r\n", b"\r\nexpect: 100-continue\r\n", 1)
    async with run_listener(limits=ConnectionLimits(linger=0.3)) as listener:
        reader, writer = await connect(listener)
        writer.write(expecting + REVIEW + b"nothing of the kind\r\n")
        assert (await read_refusal(reader))[0] == 400
        writer.close()
    assert caplog.records == []


@pytest.mark.anyio
@pytest.mark.parametrize("count", [1, 3])
async def test_answer_reaches_a_client_that_is_still_sending(count):
    head = HEAD.replace("application/json", "text/plain") + "connection: close\r\n"
    limits = ConnectionLimits(linger=5)
    async with run_listener(limits=limits) as listener:
        reader, writer = await connect(listener)
        writer.write(f"{head}content-length: 200000\r\n\r\n".encode())
        answered, body = await read_answer(reader)
        for _ in range(count):
            writer.write(b"x" * 50_000)
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(build_request(REVIEW))
        rest = await read(reader)
        writer.close()

    assert answered.startswith(b"HTTP/1.1 415 ")
    assert json.loads(body)["code"] == 415
    assert rest == b""


@pytest.mark.anyio
async def test_client_that_does_not_read_is_not_answered_without_end():
    async with run_listener(limits=ConnectionLimits()) as listener, asyncio.timeout(SOON):
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        reader, writer = await connect(listener)
        client = writer.get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader._transport.pause_reading()
        connections = listener.server.server_state.connections
        await until(lambda: connections)
        (connection,) = connections
        while connection.stalled_at is None:
            writer.write(build_request(REVIEW))
            await asyncio.sleep(0)
            await until(lambda: not connection.pipeline or connection.stalled_at, pause=0)
        for _ in range(1000):
            writer.write(build_request(REVIEW))
            await asyncio.sleep(0)
        assert connection in connections
        assert connection.unread < 128 * 1024
        writer.transport.abort()


@pytest.mark.anyio
@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)], ids=["closed", "reset"])
async def test_connection_that_ends_is_released_without_garbage_collection(linger):
    async with run_listener(limits=ConnectionLimits()) as listener:
        reader, writer = await connect(listener)
        writer.write(build_request(REVIEW))
        await read_answer(reader)
        held = weakref.ref(next(iter(listener.server.server_state.connections)))
        gc.disable()
        try:
            if linger:
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
            writer.transport.abort()
            for _ in range(1000):
                if held() is None:
                    break
                await asyncio.sleep(0.01)
            assert held() is None
        finally:
            gc.enable()


def test_head_is_answered_over_tls(webhook):
    with webhook.client(timeout=SOON) as client:
        for _ in range(2):
            assert client.head("/mutate").status_code == 405
            assert client.post("/mutate", content=REVIEW, headers=JSON).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/metrics", "/console.css", "/api/state"]
)
def test_head_is_answered_on_the_operations_port(webhook, path):
    head = httpx.head(webhook.operations + path, verify=loopback.unverified())
    got = webhook.ask(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]

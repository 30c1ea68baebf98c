"""A listener in this process, and raw requests to it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

from tests.server.parts import Parts
from webhook.server.http import ConnectionLimits
from webhook.server.listener import listen

TIGHT = ConnectionLimits(idle=1, request=0.3, linger=0.5, head=4096)
HEAD = "POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@asynccontextmanager
async def run_listener(parts=None, limits=TIGHT, app=None):
    """Run a listener in plain HTTP until the end of the block."""
    app = app or (parts or Parts()).app()
    listener = listen("127.0.0.1", 0, app, limits=limits)
    running = asyncio.create_task(listener.server.serve([listener.socket]))
    await listener.server.opened.wait()
    try:
        yield listener
    finally:
        listener.server.should_exit = True
        await running


async def connect(listener):
    return await asyncio.open_connection(*listener.socket.getsockname())


async def read_refusal(reader):
    """Read one refusal to the end of the connection: its status and message."""
    head, _, body = (await asyncio.wait_for(reader.read(), 60)).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["message"]


async def read_answer(reader):
    """Read one answer, and leave the connection open."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    return head, await reader.readexactly(length)


def build_request(body, extra=""):
    return f"{HEAD}content-length: {len(body)}\r\n{extra}\r\n".encode() + body

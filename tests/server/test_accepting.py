"""A port goes on accepting connections, and one that cannot ends the process."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.tools.waiting import PATIENCE
from webhook.server.lifecycle import Lifecycle
from webhook.server.listener import EmbeddedServer, Listener, listen


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), MemoryError()], ids=repr)
@pytest.mark.parametrize("place", ["accepting", "admitting"])
def test_port_accepts_the_next_connection_after_an_error(monkeypatch, error, place):
    events = [place, "next"]
    admitted = []

    async def accept(_):
        if not events:
            raise asyncio.CancelledError
        event = events.pop(0)
        if event == "accepting":
            raise error
        return event, ("127.0.0.1", 1)

    def admit(accepted, _):
        if accepted == "admitting":
            raise error
        admitted.append(accepted)

    async def scenario():
        server = object.__new__(EmbeddedServer)
        server._admit = admit
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "sock_accept", accept)
        with suppress(asyncio.CancelledError):
            await server._accept(None)

    asyncio.run(scenario())
    assert admitted == ["next"]


def test_port_that_can_no_longer_accept_connections_ends(monkeypatch):
    async def fail(_):
        raise RuntimeError("a bug")

    async def scenario():
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_accept", fail)
        listener = listen("127.0.0.1", 0, app=None)
        with listener.socket:
            async with asyncio.timeout(PATIENCE):
                await listener.server.serve([listener.socket])

    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(scenario())


async def fail():
    raise MemoryError


def test_port_that_fails_ends_the_process():
    async def scenario():
        lifecycle = object.__new__(Lifecycle)
        lifecycle._signalled = asyncio.Event()
        lifecycle._serving = [asyncio.create_task(fail())]
        await asyncio.wait_for(lifecycle.wait(), 60)

    with pytest.raises(MemoryError):
        asyncio.run(scenario())


class Failing:
    """A server that ends before it accepts connections."""

    def __init__(self):
        self.opened = asyncio.Event()

    async def serve(self, _):
        raise OSError(24, "Too many open files")


def test_port_that_fails_before_it_opens_ends_the_process():
    async def scenario():
        listener = Listener(None, Failing(), "http")
        lifecycle = Lifecycle(
            reviews=listener, operations=listener, readiness=None, log=None, drain=0
        )
        async with asyncio.timeout(60):
            await lifecycle.open()

    with pytest.raises(OSError, match="Too many open files"):
        asyncio.run(scenario())

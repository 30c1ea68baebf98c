"""Connections to registries, over real sockets."""

from __future__ import annotations

import asyncio
import time

from webhook.core import Availability, parse_reference
from webhook.registry.client import create_client
from webhook.registry.responses import CheckStatus

TIMEOUT = 0.05
CHECKS, ROUNDS = 20, 10


async def count_connections_left_by_timeouts():
    """Let checks time out while the event loop is busy; return their results and what is open."""
    connections = set()

    async def hang(reader, writer):
        connections.add(writer)
        await reader.read()
        connections.discard(writer)
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = Availability(timeout=TIMEOUT, plain_http=frozenset({host}))
        client = create_client(settings, time.monotonic, print)

        results = []
        for number in range(ROUNDS):
            checks = [
                asyncio.create_task(client.check_image(parse_reference(f"{host}/a/b:{n}")))
                for n in range(CHECKS)
            ]
            # Each time the loop is busy at another step of them, until their time is over.
            for _ in range(number):
                await asyncio.sleep(0)
            time.sleep(TIMEOUT * 1.5)  # noqa: ASYNC251 - that is the point
            results += await asyncio.gather(*checks)
        end = time.monotonic() + 10
        while connections and time.monotonic() < end:  # noqa: ASYNC110 - several end
            await asyncio.sleep(0.05)
        left = len(connections)
        await client.close()
        return results, left


def test_checks_that_time_out_leave_no_connection_open():
    results, left = asyncio.run(count_connections_left_by_timeouts())
    assert {result.status for result in results} == {CheckStatus.TIMEOUT}
    assert left == 0

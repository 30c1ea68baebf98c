"""The bodies of all reviews together fit into the memory, also while their mirrors are asked."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.server.conftest import review_of
from tests.server.parts import Parts
from webhook.server.limits import MAX_BODY, MAX_BUFFERED

SIZE = 3_000_000
PATIENCE = 60


class Patient:
    """A selector that waits until the test lets it go on."""

    def __init__(self):
        self.waiting = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()

    async def choose(self, decisions, _seconds):
        self.waiting.release()
        await self.go_on.wait()
        return decisions

    async def wait_for(self, count):
        for _ in range(count):
            await self.waiting.acquire()


def body_of(size):
    return review_of("nginx", options={"x": "x" * size})


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def sent_in(parts):
    """A body as it comes from a connection."""
    for part in parts:
        yield part
        await asyncio.sleep(0)


@pytest.mark.anyio
@pytest.mark.parametrize("parts", [1, 5])
async def test_bodies_count_until_they_are_answered(parts):
    selector = Patient()
    webhook = Parts(choice=selector)
    transport = httpx.ASGITransport(webhook.app())
    fitting = MAX_BUFFERED // len(body_of(SIZE))
    async with httpx.AsyncClient(transport=transport, base_url="https://a") as client:

        async def send(size=SIZE):
            body = body_of(size)
            step = len(body) // parts + 1
            content = sent_in([body[at : at + step] for at in range(0, len(body), step)])
            headers = {"content-type": "application/json"}
            return (await client.post("/mutate", content=content, headers=headers)).status_code

        waiting = [asyncio.create_task(send()) for _ in range(fitting)]
        async with asyncio.timeout(PATIENCE):
            await selector.wait_for(fitting)
            assert await send() == 503
            assert await send(2 * MAX_BODY) in (413, 503)
            selector.go_on.set()
            assert await asyncio.gather(*waiting) == [200] * fitting
            assert [await send() for _ in range(3)] == [200] * 3
            assert await send(2 * MAX_BODY) == 413


@pytest.mark.anyio
async def test_bodies_of_refused_reviews_do_not_count():
    webhook = Parts()
    transport = httpx.ASGITransport(webhook.app())
    headers = {"content-type": "application/json"}
    async with httpx.AsyncClient(transport=transport, base_url="https://a") as client:
        for _ in range(3 * MAX_BUFFERED // SIZE):
            response = await client.post("/mutate", content=b"x" * SIZE, headers=headers)
            assert response.status_code == 400

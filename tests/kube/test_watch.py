from __future__ import annotations

import asyncio
import threading

import pytest

from tests.kube.fake_api import GONE, SECRETS
from webhook.kube.client import KubeClient
from webhook.kube.watch import Watch

pytestmark = pytest.mark.anyio

NAME = "watch Secret mirrorhook/ca"


class Told:
    """Counts how often the watch has told of a change."""

    def __init__(self):
        self.times = 0
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self):
        assert asyncio.get_running_loop() is self._loop
        self.times += 1
        self._event.set()

    async def next(self):
        async with asyncio.timeout(5):
            await self._event.wait()
        await asyncio.sleep(0.05)
        self._event.clear()


@pytest.fixture
async def told():
    return Told()


@pytest.fixture
def watch(api, told, tmp_path):
    connection = KubeClient.load(api.kubeconfig(tmp_path))
    return Watch(connection, NAME, SECRETS, "ca", told, pause=0.05)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - it is the fake's and threads' own state
            await asyncio.sleep(0.01)


async def test_changes_of_the_object_are_told(api, watch, told):
    with watch:
        await told.next()
        for change in (
            lambda: api.put(SECRETS, "ca", type="x/y"),
            lambda: api.put(SECRETS, "ca", type="x/z"),
            lambda: api.remove(SECRETS, "ca"),
        ):
            change()
            await told.next()
        assert watch.problem == ""


async def test_changes_of_other_objects_are_not(api, watch, told):
    with watch:
        await told.next()
        times = told.times
        api.put(SECRETS, "other", type="x/y")
        await asyncio.sleep(0.1)
        assert told.times == times


async def test_an_object_that_is_there_already_is_told_of(api, watch, told):
    api.put(SECRETS, "ca", type="x/y")
    with watch:
        await told.next()
        await until(lambda: told.times >= 2)


@pytest.mark.parametrize("event", [GONE, None])
async def test_a_watch_that_ends_begins_anew(api, watch, told, event):
    with watch:
        await told.next()
        api.end_watches(event)
        await told.next()
        await until(lambda: api.watching == 1)
        api.put(SECRETS, "ca", type="x/y")
        await told.next()


async def test_an_api_server_that_was_away_is_watched_again(api, watch, told):
    with watch:
        await told.next()
        await api.down()
        await until(lambda: "refused" in watch.problem)
        assert watch.problem.startswith("cannot watch Secret mirrorhook/ca: ")
        await api.up()
        await told.next()
        assert watch.problem == ""


async def test_a_missing_permission_is_a_problem_until_it_is_given(api, watch, told):
    api.denied.add(("watch", "secrets"))
    with watch:
        await until(lambda: watch.problem)
        assert 'cannot watch resource "secrets"' in watch.problem
        assert told.times == 0
        api.denied.clear()
        await told.next()
        assert watch.problem == ""


async def test_a_watch_that_is_left_ends_its_thread(watch, told):
    with watch:
        await told.next()
        assert NAME in {thread.name for thread in threading.enumerate()}
    await until(lambda: NAME not in {thread.name for thread in threading.enumerate()})


async def test_a_watch_that_fails_is_left_at_once(api, watch):
    await api.down()
    with watch:
        await until(lambda: watch.problem)
    await until(lambda: NAME not in {thread.name for thread in threading.enumerate()})

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.kube.fake_api import GONE, SECRETS
from tests.tools.waiting import until
from webhook.kube.client import KubeClient
from webhook.kube.watch import Watch

pytestmark = pytest.mark.anyio

NAME = "watch Secret mirrorhook/ca"


class Changes:
    """Counts the changes that the watch reports."""

    def __init__(self):
        self.times = 0
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self):
        assert asyncio.get_running_loop() is self._loop
        self.times += 1
        self._event.set()

    async def next(self):
        async with asyncio.timeout(60):
            await self._event.wait()
        await asyncio.sleep(0.05)
        self._event.clear()


@pytest.fixture
async def changes():
    return Changes()


@pytest.fixture
def watch(api, changes, tmp_path):
    connection = KubeClient.load(api.kubeconfig(tmp_path))
    return Watch(connection, NAME, SECRETS, "ca", changes, pause=0.05)


async def test_watch_reports_changes(api, watch, changes):
    with watch:
        await changes.next()
        for change in (
            lambda: api.put(SECRETS, "ca", type="x/y"),
            lambda: api.put(SECRETS, "ca", type="x/z"),
            lambda: api.remove(SECRETS, "ca"),
        ):
            change()
            await changes.next()
        assert watch.problem == ""


async def test_watch_ignores_other_objects(api, watch, changes):
    with watch:
        await changes.next()
        times = changes.times
        api.put(SECRETS, "other", type="x/y")
        await asyncio.sleep(0.1)
        assert changes.times == times


async def test_watch_reports_an_existing_object(api, watch, changes):
    api.put(SECRETS, "ca", type="x/y")
    with watch:
        await changes.next()
        await until(lambda: changes.times >= 2)


@pytest.mark.parametrize("event", [GONE, None])
async def test_watch_restarts_when_it_ends(api, watch, changes, event):
    with watch:
        await changes.next()
        api.end_watches(event)
        await changes.next()
        await until(lambda: api.watching == 1)
        api.put(SECRETS, "ca", type="x/y")
        await changes.next()


async def test_watch_restarts_when_the_api_server_is_back(api, watch, changes):
    with watch:
        await changes.next()
        await api.down()
        await until(lambda: "refused" in watch.problem)
        assert watch.problem.startswith("cannot watch Secret mirrorhook/ca: ")
        await api.up()
        await changes.next()
        assert watch.problem == ""


async def test_watch_without_permission_has_a_problem_until_it_is_granted(api, watch, changes):
    api.denied.add(("watch", "secrets"))
    with watch:
        await until(lambda: watch.problem)
        assert 'cannot watch resource "secrets"' in watch.problem
        assert changes.times == 0
        api.denied.clear()
        await changes.next()
        assert watch.problem == ""


async def test_watch_restarts_after_an_unexpected_error(api, watch, changes, monkeypatch):
    def fail(*_, **__):
        raise ValueError("Invalid header value")

    monkeypatch.setattr(watch._client, "send", fail)
    with watch:
        await until(lambda: "Invalid header value" in watch.problem)
        monkeypatch.undo()
        await changes.next()
        assert watch.problem == ""


async def test_watch_ends_its_thread_on_exit(watch, changes):
    with watch:
        await changes.next()
        assert NAME in {thread.name for thread in threading.enumerate()}
    await until(lambda: NAME not in {thread.name for thread in threading.enumerate()})


async def test_failing_watch_ends_its_thread_on_exit(api, watch):
    await api.down()
    with watch:
        await until(lambda: watch.problem)
    await until(lambda: NAME not in {thread.name for thread in threading.enumerate()})

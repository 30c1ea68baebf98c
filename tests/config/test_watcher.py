from __future__ import annotations

import asyncio
import os
from contextlib import aclosing, asynccontextmanager

import pytest

from webhook.config import Configuration, ConfigurationError, load_rules
from webhook.config.watcher import watch_directory, watch_rules
from webhook.core.errors import CHECK_PATH

pytestmark = pytest.mark.anyio

FIRST = "profiles: [daocloud]\n"
SECOND = "profiles: [nju]\n"
THIRD = "profiles: [sjtu]\n"
BAD = "profiles: [nothing]\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(FIRST, encoding="utf-8")
    return path


def summarize(change):
    """Return the profiles in use after a change, or the message of its first problem."""
    if isinstance(change, Configuration):
        return ", ".join(change.policies["default"].profiles)
    assert isinstance(change, ConfigurationError)
    return change.problems[0].message


async def collect_changes(path, *steps, digest=None):
    """Return the reported changes; the watcher looks once after each of *steps*."""

    async def notifier(directory, poll):
        assert directory == path.parent
        assert poll == 10.0
        for step in steps:
            step()
            yield

    digest = load_rules(path).digest if digest is None else digest
    return [summarize(change) async for change in watch_rules(path, digest, notifier=notifier)]


def write_later(path, text):
    return lambda: path.write_text(text, encoding="utf-8")


def do_nothing():
    pass


async def test_changed_content_is_reported_once(path):
    assert await collect_changes(path, write_later(path, SECOND), do_nothing, do_nothing) == ["nju"]


async def test_event_without_changed_content_is_ignored(path):
    assert await collect_changes(path, do_nothing, write_later(path, FIRST), path.touch) == []


async def test_change_before_the_watch_is_reported_at_once(path):
    assert await collect_changes(path, digest="of something older") == ["daocloud"]


async def test_bad_content_is_reported_once_and_then_good_content(path):
    steps = [write_later(path, BAD), do_nothing, do_nothing, write_later(path, SECOND), do_nothing]

    problem, profile = await collect_changes(path, *steps)

    assert problem.startswith("unknown profile 'nothing'")
    assert profile == "nju"


async def test_return_from_bad_content_to_the_old_rules_is_reported(path):
    assert (await collect_changes(path, write_later(path, BAD), write_later(path, FIRST)))[1:] == [
        "daocloud"
    ]


async def test_different_bad_content_is_reported_again(path):
    problems = await collect_changes(path, write_later(path, BAD), write_later(path, "rules: 7"))

    assert len(problems) == 2


async def test_file_missing_at_one_look_is_not_reported(path):
    assert await collect_changes(path, path.unlink, write_later(path, FIRST)) == []
    assert await collect_changes(path, path.unlink, write_later(path, SECOND)) == ["nju"]


async def test_file_that_stays_missing_is_reported_once_and_reloaded(path):
    steps = [path.unlink, do_nothing, do_nothing, do_nothing, write_later(path, FIRST)]

    assert await collect_changes(path, *steps) == [
        f"the file cannot be read: No such file or directory; {CHECK_PATH}",
        "daocloud",
    ]


async def test_directory_in_place_of_the_file_is_reported(path):
    def swap():
        path.unlink()
        path.mkdir()

    assert await collect_changes(path, swap, do_nothing) == [
        f"the file cannot be read: Is a directory; {CHECK_PATH}"
    ]


async def test_fifo_in_place_of_the_file_is_reported(path):
    def swap():
        path.unlink()
        os.mkfifo(path)

    assert await collect_changes(
        path, swap, do_nothing, path.unlink, write_later(path, SECOND)
    ) == [
        f"the file cannot be read: it is not a regular file; {CHECK_PATH}",
        "nju",
    ]


@asynccontextmanager
async def watch_file(path, poll):
    """Watch a real file, and yield a function that waits for the next change."""
    async with aclosing(watch_rules(path, load_rules(path).digest, poll=poll)) as changes:
        upcoming = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0.3)

        async def next_change():
            nonlocal upcoming
            async with asyncio.timeout(60):
                change = await upcoming
            upcoming = asyncio.ensure_future(anext(changes))
            return summarize(change)

        yield next_change
        upcoming.cancel()
        await asyncio.wait([upcoming])


def publish(volume, name, text):
    """Update a ConfigMap volume as the kubelet does: add a folder and swap ``..data``."""
    folder = volume / f"..{name}"
    folder.mkdir()
    (folder / "rules.yaml").write_text(text, encoding="utf-8")
    fresh = volume / "..data_tmp"
    fresh.symlink_to(folder.name)
    old = (volume / "..data").readlink() if (volume / "..data").exists() else None
    fresh.replace(volume / "..data")
    if old is None:
        (volume / "rules.yaml").symlink_to("..data/rules.yaml")
    else:
        (volume / old / "rules.yaml").unlink()
        (volume / old).rmdir()


async def test_every_config_map_swap_is_reloaded_at_once(tmp_path):
    publish(tmp_path, "1", FIRST)

    async with watch_file(tmp_path / "rules.yaml", poll=60) as next_change:
        for name, text, profile in (("2", SECOND, "nju"), ("3", THIRD, "sjtu")):
            publish(tmp_path, name, text)
            assert await next_change() == profile
        publish(tmp_path, "4", BAD)
        assert (await next_change()).startswith("unknown profile 'nothing'")
        publish(tmp_path, "5", SECOND)
        assert await next_change() == "nju"


async def test_file_replaced_by_an_editor_is_reloaded(path):
    async with watch_file(path, poll=60) as next_change:
        fresh = path.with_name("rules.yaml~")
        fresh.write_text(SECOND, encoding="utf-8")
        fresh.replace(path)
        assert await next_change() == "nju"


async def test_many_events_of_other_files_hide_no_change(path):
    async with watch_file(path, poll=60) as next_change:
        for number in range(500):
            path.with_name(f"{number}.log").write_text("x", encoding="utf-8")
        path.write_text(SECOND, encoding="utf-8")
        for number in range(500):
            path.with_name(f"{number}.log").unlink()
        assert await next_change() == "nju"


async def test_change_without_an_event_is_found_by_polling(tmp_path, path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path.rename(elsewhere / "rules.yaml")
    path.symlink_to("elsewhere/rules.yaml")

    async with watch_file(path, poll=0.2) as next_change:
        (elsewhere / "rules.yaml").write_text(SECOND, encoding="utf-8")
        assert await next_change() == "nju"


async def test_recreated_directory_is_watched_again(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    path = folder / "rules.yaml"
    path.write_text(FIRST, encoding="utf-8")

    async with watch_file(path, poll=0.2) as next_change:
        path.unlink()
        folder.rmdir()
        assert (
            await next_change()
            == f"the file cannot be read: No such file or directory; {CHECK_PATH}"
        )
        folder.mkdir()
        path.write_text(SECOND, encoding="utf-8")
        assert await next_change() == "nju"


async def test_missing_directory_is_checked_at_every_poll(tmp_path):
    async with aclosing(watch_directory(tmp_path / "missing", 0.01)) as changes:
        async with asyncio.timeout(60):
            assert [await anext(changes) for _ in range(3)] == [None] * 3


async def test_first_look_comes_soon_after_the_watch_begins(tmp_path):
    async with aclosing(watch_directory(tmp_path, 3600)) as changes:
        async with asyncio.timeout(60):
            await anext(changes)

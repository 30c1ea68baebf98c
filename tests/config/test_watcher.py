from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager

import pytest

from webhook.config import Configuration, ConfigurationError, load_rules
from webhook.config.watcher import watch_directory, watch_rules

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


def told(change):
    """What a change tells: the profiles that are in use now, or the first problem."""
    if isinstance(change, Configuration):
        return ", ".join(change.policies["default"].profiles)
    assert isinstance(change, ConfigurationError)
    return change.problems[0].message


async def looks(path, *steps, digest=None):
    """What is told when *steps* are done one after the other, and a look taken after each."""

    async def notifier(directory, poll):
        assert directory == path.parent
        assert poll == 10.0
        for step in steps:
            step()
            yield

    digest = load_rules(path).digest if digest is None else digest
    return [told(change) async for change in watch_rules(path, digest, notifier=notifier)]


def writing(path, text):
    return lambda: path.write_text(text, encoding="utf-8")


def nothing():
    pass


async def test_a_change_of_the_content_is_told_once(path):
    assert await looks(path, writing(path, SECOND), nothing, nothing) == ["nju"]


async def test_an_event_that_changes_no_content_is_not_told(path):
    assert await looks(path, nothing, writing(path, FIRST), path.touch) == []


async def test_a_change_before_the_watch_began_is_told_at_once(path):
    assert await looks(path, digest="of something older") == ["daocloud"]


async def test_bad_content_is_told_once_and_the_next_good_one_again(path):
    steps = [writing(path, BAD), nothing, nothing, writing(path, SECOND), nothing]

    problem, profile = await looks(path, *steps)

    assert problem.startswith("unknown profile 'nothing'")
    assert profile == "nju"


async def test_going_back_from_bad_content_to_the_old_rules_is_told(path):
    assert (await looks(path, writing(path, BAD), writing(path, FIRST)))[1:] == ["daocloud"]


async def test_other_bad_content_is_told_anew(path):
    problems = await looks(path, writing(path, BAD), writing(path, "rules: 7"))

    assert len(problems) == 2


async def test_a_file_that_is_away_for_one_look_is_not_told(path):
    assert await looks(path, path.unlink, writing(path, FIRST)) == []
    assert await looks(path, path.unlink, writing(path, SECOND)) == ["nju"]


async def test_a_file_that_stays_away_is_told_once_and_taken_up_again(path):
    steps = [path.unlink, nothing, nothing, nothing, writing(path, FIRST)]

    assert await looks(path, *steps) == [
        "the file cannot be read: No such file or directory",
        "daocloud",
    ]


async def test_a_directory_in_the_place_of_the_file_is_told(path):
    def swap():
        path.unlink()
        path.mkdir()

    assert await looks(path, swap, nothing) == ["the file cannot be read: Is a directory"]


@asynccontextmanager
async def changes_of(path, poll):
    """The changes of a real file in a real directory, with the watch in place."""
    async with aclosing(watch_rules(path, load_rules(path).digest, poll=poll)) as changes:
        upcoming = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0.3)

        async def next_change():
            nonlocal upcoming
            async with asyncio.timeout(20):
                change = await upcoming
            upcoming = asyncio.ensure_future(anext(changes))
            return told(change)

        yield next_change
        upcoming.cancel()
        await asyncio.wait([upcoming])


def publish(volume, name, text):
    """Write a file as the kubelet writes a ConfigMap's: a new folder, and ``..data`` swapped."""
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


async def test_every_swap_of_a_config_map_is_taken_up_at_once(tmp_path):
    publish(tmp_path, "1", FIRST)

    async with changes_of(tmp_path / "rules.yaml", poll=60) as next_change:
        for name, text, profile in (("2", SECOND, "nju"), ("3", THIRD, "sjtu")):
            publish(tmp_path, name, text)
            assert await next_change() == profile
        publish(tmp_path, "4", BAD)
        assert (await next_change()).startswith("unknown profile 'nothing'")
        publish(tmp_path, "5", SECOND)
        assert await next_change() == "nju"


async def test_a_file_that_an_editor_replaces_is_taken_up(path):
    async with changes_of(path, poll=60) as next_change:
        fresh = path.with_name("rules.yaml~")
        fresh.write_text(SECOND, encoding="utf-8")
        fresh.replace(path)
        assert await next_change() == "nju"


async def test_a_storm_of_other_files_hides_no_change(path):
    async with changes_of(path, poll=60) as next_change:
        for number in range(500):
            path.with_name(f"{number}.log").write_text("x", encoding="utf-8")
        path.write_text(SECOND, encoding="utf-8")
        for number in range(500):
            path.with_name(f"{number}.log").unlink()
        assert await next_change() == "nju"


async def test_a_change_without_an_event_is_found_by_the_poll(tmp_path, path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path.rename(elsewhere / "rules.yaml")
    path.symlink_to("elsewhere/rules.yaml")

    async with changes_of(path, poll=0.2) as next_change:
        (elsewhere / "rules.yaml").write_text(SECOND, encoding="utf-8")
        assert await next_change() == "nju"


async def test_a_directory_that_is_made_anew_is_watched_again(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir()
    path = folder / "rules.yaml"
    path.write_text(FIRST, encoding="utf-8")

    async with changes_of(path, poll=0.2) as next_change:
        path.unlink()
        folder.rmdir()
        assert await next_change() == "the file cannot be read: No such file or directory"
        folder.mkdir()
        path.write_text(SECOND, encoding="utf-8")
        assert await next_change() == "nju"


async def test_a_directory_that_is_not_there_is_looked_for_at_every_poll(tmp_path):
    async with aclosing(watch_directory(tmp_path / "missing", 0.01)) as changes:
        async with asyncio.timeout(5):
            assert [await anext(changes) for _ in range(3)] == [None] * 3


async def test_what_happened_before_there_was_a_watch_is_looked_for_soon(tmp_path):
    async with aclosing(watch_directory(tmp_path, 3600)) as changes:
        async with asyncio.timeout(10):
            await anext(changes)

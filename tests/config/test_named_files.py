from __future__ import annotations

import os

import pytest

from webhook.config import ConfigurationError, load_rules
from webhook.config.watcher import watch_rules

pytestmark = pytest.mark.anyio

RULES = """
rules:
  - match: docker.io
    mirrors:
      - {target: a.example, allowlist: allows.txt}
      - {target: b.example, allowlist: lists/allows.txt}
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    (tmp_path / "lists").mkdir()
    (tmp_path / "allows.txt").write_text("library/*")
    (tmp_path / "lists/allows.txt").write_text("docker.io/**")
    return path


def decide(configuration, name):
    return configuration.policies["default"].mirrors.decide(name).image


def test_allowlist_path_is_relative_to_the_rules_file(path):
    configuration = load_rules(path)

    assert decide(configuration, "nginx") == "a.example/library/nginx"
    assert decide(configuration, "a/b") == "b.example/a/b"
    assert [file.name for file in configuration.files] == ["allows.txt"] * 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a:1", "allows.txt, line 1: 'a:1' is not a pattern of image names: write"),
        (b"\xff", "is not UTF-8: save it as UTF-8"),
        (b"a\n" * 600_000, "is larger than 1048576 bytes"),
        (b"", "allows.txt lists no images: write patterns such as docker.io/**"),
    ],
)
def test_invalid_allowlist_is_reported_at_the_key_that_names_it(path, content, problem):
    path.with_name("allows.txt").write_bytes(content)

    with pytest.raises(ConfigurationError) as caught:
        load_rules(path)

    (line,) = caught.value.problems
    assert (line.line, line.path) == (5, "rules[0].mirrors[0].allowlist")
    assert problem in line.message


def test_fifo_is_no_allowlist(path):
    path.with_name("allows.txt").unlink()
    os.mkfifo(path.with_name("allows.txt"))

    with pytest.raises(
        ConfigurationError, match=r"allows\.txt cannot be read: it is not a regular"
    ):
        load_rules(path)


async def collect_changes(path, *steps):
    """Return what the watcher reports; it looks once after each of *steps*."""

    async def notifier(_directory, _poll):
        for step in steps:
            step()
            yield

    before = load_rules(path)
    return [
        str(change) if isinstance(change, ConfigurationError) else change
        async for change in watch_rules(path, before.digest, before.files, notifier=notifier)
    ]


def write_later(path, name, text):
    return lambda: path.with_name(name).write_text(text)


async def test_changed_allowlist_is_reloaded(path):
    step = write_later(path, "allows.txt", "nginx")

    (changed,) = await collect_changes(path, step, lambda: None)

    assert decide(changed, "nginx") == "a.example/library/nginx"
    assert decide(changed, "redis") == "b.example/library/redis"


async def test_missing_allowlist_is_reported_and_reloaded_when_it_is_back(path):
    file = path.with_name("allows.txt")
    refused, restored = await collect_changes(
        path, file.unlink, lambda: None, write_later(path, "allows.txt", "redis")
    )

    assert "allows.txt cannot be read: No such file or directory" in refused
    assert decide(restored, "redis") == "a.example/library/redis"


async def test_unused_allowlist_is_no_longer_watched(path):
    steps = [
        lambda: path.write_text("profiles: [nju]"),
        write_later(path, "allows.txt", "nginx"),
    ]

    assert len(await collect_changes(path, *steps, lambda: None)) == 1

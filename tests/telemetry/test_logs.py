"""Log lines, which must never hold up a Pod."""

from __future__ import annotations

import json
import logging
import os
import select
import threading
import time
import tracemalloc
from contextlib import suppress

import pytest

from tests.server.process import until
from webhook.telemetry import LineWriter, Log, redirect_logging
from webhook.telemetry.logs import MAX_BYTES, MAX_FIELD


@pytest.fixture
def pipe():
    """A pipe that outlives whoever writes to it: its number is soon that of another one."""
    before = set(threading.enumerate())
    reader, writer = os.pipe()
    yield reader, writer
    close(reader)
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    close(writer)


def close(descriptor):
    with suppress(OSError):
        os.close(descriptor)


@pytest.fixture
def lines():
    return []


@pytest.fixture
def log(lines):
    return Log(lambda line: lines.append(json.loads(line)), lambda: 0.25)


def test_lines_are_written_complete_and_in_order(pipe):
    reader, writer = pipe
    out = LineWriter(writer)
    for number in range(1000):
        out.write(b"%d" % number)
    out.close(60)
    assert os.read(reader, 65536).split() == [b"%d" % number for number in range(1000)]
    assert out.dropped == 0


def test_lines_wait_for_each_other_but_not_after_close(pipe):
    reader, writer = pipe
    out = LineWriter(writer, gather=60)
    for number in range(100):
        out.write(b"%d" % number)
    assert not select.select([reader], [], [], 0.1)[0]
    out.close(60)
    assert os.read(reader, 65536).split() == [b"%d" % number for number in range(100)]


def test_single_line_is_written(pipe):
    reader, writer = pipe
    out = LineWriter(writer)
    for number in range(3):
        out.write(b"%d" % number)
        assert select.select([reader], [], [], 5)[0]
        assert os.read(reader, 100) == b"%d\n" % number
    out.close(60)


def test_slow_reader_does_not_block_the_writer(pipe):
    _, writer = pipe
    out = LineWriter(writer)
    began = time.monotonic()
    for _ in range(MAX_BYTES // 100):
        out.write(b"x" * 200)
    assert time.monotonic() - began < 30
    assert out.dropped > 0


@pytest.mark.parametrize("size", [0, 200, 100_000, 3_000_000])
def test_lines_that_nobody_reads_are_bounded_in_bytes(pipe, size):
    _, writer = pipe
    out = LineWriter(writer)
    line = b"x" * size
    tracemalloc.start()
    try:
        for _ in range(3 * MAX_BYTES // (size + 50)):
            out.write(line + b"%d" % size)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert out.dropped > 0
    # A batch that is written is there twice.
    assert held < 2 * MAX_BYTES
    assert peak < 2 * MAX_BYTES


def test_dropped_lines_leave_whole_lines(pipe):
    reader, writer = pipe
    out = LineWriter(writer)
    for number in range(200):
        out.write(b"%d " % number + b"x" * 100_000)
    assert out.dropped > 0
    kept = 200 - out.dropped
    data = b""
    while data.count(b"\n") < kept:
        data += os.read(reader, 1 << 20)
    numbers = [int(line.split()[0]) for line in data.splitlines()]
    assert numbers == list(range(kept))
    assert {len(line.split()[1]) for line in data.splitlines()} == {100_000}
    assert not out._bytes
    out.write(b"after")
    out.close(60)
    assert os.read(reader, 100) == b"after\n"


def test_close_waits_for_a_reader_for_a_limited_time(pipe):
    _, writer = pipe
    out = LineWriter(writer)
    for _ in range(MAX_BYTES // 100):
        out.write(b"x" * 200)
    began = time.monotonic()
    out.close(0.2)
    assert time.monotonic() - began < 30


def test_writer_goes_on_when_a_full_disk_has_space_again(pipe):
    reader, writer = pipe
    descriptor = os.open("/dev/full", os.O_WRONLY)
    out = LineWriter(descriptor)
    out.write(b"lost")
    until(lambda: out.dropped)
    os.dup2(writer, descriptor)
    out.write(b"written")
    out.close(60)
    os.close(descriptor)
    assert (os.read(reader, 100), out.dropped) == (b"written\n", 1)


def test_closed_reader_ends_the_writer(pipe):
    reader, writer = pipe
    out = LineWriter(writer)
    os.close(reader)
    out.write(b"x")
    out.close(60)
    assert not out._thread.is_alive()


def test_close_without_lines_writes_nothing(pipe):
    reader, writer = pipe
    LineWriter(writer).close(60)
    os.close(writer)
    assert os.read(reader, 10) == b""


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_line_is_a_json_object_with_time_level_and_event(log, lines, level):
    getattr(log, level)("something came", pod="web", count=2)
    assert lines == [
        {
            "time": "1970-01-01T00:00:00.250Z",
            "level": level,
            "event": "something came",
            "pod": "web",
            "count": 2,
        }
    ]


def test_failure_has_its_traceback_on_one_line(log, lines):
    with pytest.raises(ValueError, match="a") as caught:
        int("a\nb")
    log.failure("it failed", caught.value, pod="web")
    (line,) = lines
    assert line["level"] == "error"
    assert line["pod"] == "web"
    assert line["traceback"].endswith("with base 10: 'a\\nb'\n")


def test_long_texts_are_cut(log, lines):
    log.info("e" * 1_000_000, path="p" * 1_000_000)
    assert len(lines[0]["event"]) == len(lines[0]["path"]) == MAX_FIELD


def test_values_of_any_type_are_logged(log, lines):
    log.info("odd", value={1: object, "x": {2}}, path=ValueError("x"))
    assert "class 'object'" in lines[0]["value"]["1"]


def test_redirected_loggers_write_to_the_log(log, lines):
    logger = logging.getLogger("lib")
    redirect_logging(log, "lib")
    logger.info("below the level")
    logger.setLevel(logging.INFO)
    logger.info("one %d", 1)
    logger.warning("two")
    try:
        {}["x"]
    except KeyError:
        logger.exception("three")
    assert [(line["level"], line["event"]) for line in lines] == [
        ("info", "one 1"),
        ("warning", "two"),
        ("error", "three"),
    ]
    assert all(line["logger"] == "lib" for line in lines)
    assert "KeyError: 'x'" in lines[2]["traceback"]


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["info", "warning", "error", "error"]),
        ("info", ["info", "warning", "error", "error"]),
        ("warning", ["warning", "error", "error"]),
        ("error", ["error", "error"]),
    ],
)
def test_lines_below_the_level_are_not_written(lines, level, written):
    log = Log(lambda line: lines.append(json.loads(line)), lambda: 0.25, level)
    log.info("a")
    log.warning("b")
    log.error("c")
    log.failure("d", ValueError())
    assert [line["level"] for line in lines] == written

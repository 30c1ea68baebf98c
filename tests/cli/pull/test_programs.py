from __future__ import annotations

import os
import queue
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from webhook.cli.engines import ProgramResult, Programs, _terminate


def run(script):
    heard = []
    finished = Programs().run(("sh", "-c", script), heard.append)
    assert tuple(heard) == finished.lines
    return finished


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_run_program_reads_both_outputs_line_by_line():
    finished = run("echo one; echo two >&2; printf 'three\\rfour'; exit 3")

    assert finished == ProgramResult(3, ("one", "two", "three", "four"))


def test_run_program_reports_lines_while_the_program_runs(tmp_path):
    go = tmp_path / "go"
    script = f"echo ready; until [ -e {go} ]; do sleep 0.01; done; echo done"

    finished = Programs().run(("sh", "-c", script), lambda _line: go.touch())

    assert finished.lines == ("ready", "done")


def test_run_program_gives_no_standard_input():
    assert run("cat; echo end").lines == ("end",)


def test_run_program_accepts_output_that_is_not_utf_8():
    assert run("printf 'a\\377b\\n'").lines == ("a\N{REPLACEMENT CHARACTER}b",)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Error response from daemon: denied\n", "Error response from daemon: denied"),
        ("pulling\nError: denied\n\n", "denied"),
        ("FATA[0000] denied\n", "denied"),
        (
            'time="2026-11-25T14:29:54Z" level=fatal msg="no \\"a\\": c:\\\\x"\n',
            'no "a": c:\\x',
        ),
        ("", "ended with exit code 4"),
    ],
)
def test_program_error_is_the_last_message(written, expected, tmp_path):
    said = tmp_path / "said"
    said.write_text(written, encoding="utf-8")

    assert run(f"cat {said}; exit 4").error == expected


def test_program_error_names_the_signal():
    assert run("kill -9 $$").error == "ended by SIGKILL"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(None, "No such file or directory"), (0o644, "Permission denied")],
)
def test_run_program_reports_a_program_that_cannot_run(tmp_path, mode, expected):
    program = tmp_path / "engine"
    if mode is not None:
        program.write_text("#!/bin/sh\n", encoding="utf-8")
        program.chmod(mode)

    finished = Programs().run((str(program), "pull"), print)

    assert finished.code != 0
    assert finished.error == f"{program} cannot be run: {expected}"


class BrokenOffError(Exception):
    pass


def break_off(line):
    raise BrokenOffError(line)


def test_run_program_ends_the_program_on_an_exception():
    with pytest.raises(BrokenOffError) as broken:
        Programs().run(("sh", "-c", "echo $$; exec sleep 60"), break_off)

    assert not is_running(int(str(broken.value)))


def test_terminate_kills_a_program_that_ignores_sigterm():
    stubborn = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(("sh", "-c", stubborn), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"

        _terminate([process], grace=0.2)

    assert process.returncode == -signal.SIGKILL


def test_stop_ends_programs_in_other_threads_and_starts_no_more():
    programs = Programs()
    started = queue.Queue()
    with ThreadPoolExecutor(2) as executor:
        jobs = [
            executor.submit(programs.run, ("sh", "-c", "echo $$; exec sleep 60"), started.put)
            for _ in range(2)
        ]
        pids = [int(started.get(timeout=60)) for _ in jobs]
        programs.stop()
        results = [job.result(timeout=60) for job in jobs]

    assert not any(map(is_running, pids))
    assert [result.code for result in results] == [-signal.SIGTERM] * 2
    assert programs.run(("sh", "-c", "echo ran"), print).lines == ("interrupted",)


def test_run_program_leaves_ignored_signals_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        lines = run("kill -INT $$; echo alive").lines
    finally:
        signal.signal(signal.SIGINT, before)

    assert lines == ("alive",)
    assert run("kill -INT $$; echo alive").error == "ended by SIGINT"

"""Nothing remains of a cluster, however its test ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.cluster.folders import PREFIX, sweep
from tests.cluster.processes import until
from tests.cluster.release import ROOT

SCRIPT = """
import sys, time
from tests.cluster.control_plane import control_plane
with control_plane() as plane:
    print(plane.folder, flush=True)
    time.sleep(600)
"""


def processes_of(folder):
    """Return the command lines of processes that use a folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = each.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in text:
            found.append(text)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_cluster_of_an_interrupted_test_leaves_nothing(programs, number):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout
        folder = process.stdout.readline().strip()
        assert Path(folder).is_dir()
        assert len(processes_of(folder)) >= 3
        process.send_signal(number)
        process.wait(20)
    until(lambda: not processes_of(folder), "the end of its processes")
    sweep()
    assert not Path(folder).exists()
    assert Path(folder).parent == Path(tempfile.gettempdir())
    assert Path(folder).name.startswith(PREFIX)

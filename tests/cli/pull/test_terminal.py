from __future__ import annotations

import os
import signal
import subprocess
import termios
import time
from fcntl import ioctl

import pytest

from tests.cli.pull.machine import DIGEST, HUB
from tests.tools.terminal import terminal


def slow(machine):
    """Install an engine that pulls forever; return the file with its process id."""
    pid = machine.bin / "pid"
    script = 'case "$1" in pull) echo $$ >> {name}; echo slow; exec sleep 60;; esac; exit 1'
    machine.install("docker", script=script.replace("{name}", str(pid)))
    machine.environment["PATH"] += os.pathsep + os.environ["PATH"]
    return pid


def wait_for_text(path):
    while not path.exists() or not path.read_text(encoding="utf-8").strip():
        time.sleep(0.01)
    return int(path.read_text(encoding="utf-8").split()[0])


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "Interrupted: 0 of 2 images done\n"),
        (signal.SIGTERM, 143, "Terminated: 0 of 2 images done\n"),
    ],
)
def test_pull_ends_the_engine_on_a_signal(machine, number, code, said):
    pid_file = slow(machine)
    with machine.start(
        "nginx:1", "nginx:2", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        pid = wait_for_text(pid_file)
        process.send_signal(number)
        output = process.communicate(timeout=60)

    begun = "Pulling 1 of 2: nginx:1\nPulling 2 of 2: nginx:2\n"
    assert (output, process.returncode) == (("", begun + said), code)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def in_terminal(machine, columns, *arguments, on_text=None):
    """Return what the command writes to a terminal, and its exit code.

    Args:
        on_text: A text, and what to type after it appears.
    """
    for name in ("COLUMNS", "NO_COLOR"):
        machine.environment.pop(name, None)
    with terminal(columns) as screen:
        ends = dict.fromkeys(("stdin", "stdout", "stderr"), screen.end)
        # In a session of its own the terminal is its, and so is what is typed there.
        with machine.start(
            *arguments,
            **ends,
            start_new_session=True,
            preexec_fn=lambda: ioctl(1, termios.TIOCSCTTY, 0),
        ) as process:
            written = screen.written(on_text)
    return written.decode(), process.returncode


def test_pull_shows_progress_and_results_on_a_terminal(machine):
    machine.know(f"{HUB}/library/nginx:1")

    written, code = in_terminal(machine, 80, "nginx:1", "quay.io/a")

    assert code == 1
    assert "0:00  1 of 2  nginx:1" in written
    assert "0:00  2 of 2  quay.io/a" in written
    assert f"\x1b[32mpulled\x1b[0m  nginx:1 from {HUB}/library/nginx:1\r\n" in written
    assert "\x1b[31mfailed\x1b[0m  quay.io/a: quay.io/a:latest: manifest unknown" in written


def test_pull_shows_the_last_line_of_the_engine_on_a_terminal(machine):
    slow(machine)

    written, code = in_terminal(machine, 120, "nginx:1", on_text=(b"slow", b"\x03"))

    assert f"  {HUB}/library/nginx:1  slow" in written
    assert "1 of 1" not in written
    assert written.endswith("Interrupted: 0 of 1 images done\r\n")
    assert code == 130


def test_pull_writes_one_whole_line_per_image_to_a_pipe(machine):
    image = f"quay.io/{'a-long-part/' * 12}app:1@{DIGEST}"
    pulled = image.replace(":1@", "@")
    machine.know(pulled)

    with machine.start(image, stdout=subprocess.PIPE, text=True) as process:
        written, _ = process.communicate(timeout=60)

    assert (written, process.returncode) == (f"pulled  {image} from {pulled}\n", 0)

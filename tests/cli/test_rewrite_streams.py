"""`mirrorhook rewrite` with large input, and with input that can be read only once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.bench.rewriting import DOCUMENT, manifests, usage
from webhook.cli import files
from webhook.cli.main import mirrorhook

POD = "kind: Pod\nspec:\n  containers:\n  - {name: a, image: nginx}  # keep\n"
NEW = POD.replace("nginx", "m.example/hub/library/nginx")
NEW_IMAGE = b"m.example/hub/library/nginx"
NO_POD = "# Größe\nkind: Role\n"


@pytest.fixture
def rules(tmp_path, monkeypatch):
    """A rules file in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "rules.yaml.txt"
    path.write_text("rules: [{match: docker.io, mirrors: [m.example/hub]}]\n")
    return path


@pytest.fixture
def call(rules):
    def run(*arguments, stdin=b""):
        command = ["rewrite", "--config", str(rules), *arguments]
        return CliRunner().invoke(mirrorhook, command, input=stdin)

    return run


@pytest.fixture(params=["held", "in a file", "without a folder for files"])
def room(request, monkeypatch):
    """Where standard input is held."""

    def refused():
        raise FileNotFoundError

    if request.param != "held":
        monkeypatch.setattr(files, "HELD", 10)
    if request.param == "without a folder for files":
        monkeypatch.setattr(files.tempfile, "TemporaryFile", refused)


def test_rewrite_reads_standard_input_of_any_size(call, room, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 7)
    done = call(stdin=f"{NO_POD}---\n{POD}---\n{POD}".encode())
    assert done.stdout == f"{NO_POD}---\n{NEW}---\n{NEW}"


def test_rewrite_copies_a_stream_that_is_not_utf_8_at_its_end(call, room):
    content = f"{POD}---\n".encode() + b"image: \xff\n"
    done = call(stdin=content)
    assert (done.exit_code, done.stdout_bytes) == (1, content.replace(b"nginx", NEW_IMAGE))
    assert "Error: standard input:6: byte 0xff is not UTF-8" in done.stderr


def test_rewrite_writes_nothing_if_a_later_file_cannot_be_read(call):
    Path("a.yaml").write_text(POD)
    Path("b.yaml").mkdir()
    Path("b.yaml/c.yaml").symlink_to("/proc/self/mem")
    done = call("a.yaml", "b.yaml/c.yaml")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "c.yaml" in done.stderr


def test_rewrite_reads_a_pipe_once(call):
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_text, args=(POD,))
    writer.start()
    done = call("pipe")
    writer.join()
    assert (done.exit_code, done.stdout) == (0, NEW)


def test_rewrite_in_place_keeps_everything_before_the_first_change(call, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 7)
    Path("a.yaml").write_text(f"{NO_POD}---\n{NO_POD}---\n{POD}---\n{NO_POD}")
    done = call("--in-place", "a.yaml")
    assert done.stderr == "a.yaml: 1 image rewritten\n"
    assert Path("a.yaml").read_text() == f"{NO_POD}---\n{NO_POD}---\n{NEW}---\n{NO_POD}"


def test_rewrite_in_place_keeps_a_file_that_cannot_be_written(call, monkeypatch):
    def full(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("webhook.cli.rewrite.replace_file", full)
    Path("a.yaml").write_text(POD)
    done = call("--in-place", "a.yaml")
    assert done.exit_code == 1
    assert "'a.yaml': No space left on device" in done.stderr
    assert Path("a.yaml").read_text() == POD


def test_rewrite_json_works_with_in_place(call):
    Path("a.yaml").write_text(POD)
    assert '"outcome": "rewritten"' in call("--in-place", "-o", "json", "a.yaml").stdout
    assert Path("a.yaml").read_text() == NEW


def test_rewrite_ends_without_a_traceback_if_its_reader_is_gone(rules):
    text = DOCUMENT.format(n=1) * 3000
    command = [sys.executable, "-m", "webhook", "rewrite", "--config", str(rules)]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(text.encode())
        process.stdin.close()
        assert process.stdout.read(8) == text[:8].encode()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_rewrite_memory_does_not_grow_with_the_number_of_documents(rules, tmp_path):
    memory = [
        usage("-m", "webhook", "rewrite", "--config", rules, manifests(tmp_path, size))[1]
        for size in (1, 6)
    ]
    assert memory[1] < 1.15 * memory[0]

"""Tables and text on a terminal and in a pipe."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from unittest.mock import patch

import pytest

from tests.tools.terminal import terminal
from webhook.cli.output import escape_controls, show_records, show_table, show_text

ROWS = [("nginx", "harbor.example.com/dockerhub/library/nginx:1.27"), ("a", "")]


def write_to_terminal(function, *arguments, **options):
    """Call a function with a terminal of 30 columns as standard output; return the lines."""
    with terminal(30) as screen, open(screen.end, "w", closefd=False) as file:
        # The width is that of the real standard output.
        with redirect_stdout(file), patch.object(sys, "__stdout__", file):
            function(*arguments, **options)
        file.flush()
        return screen.written().decode().splitlines()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No variables that change the output."""
    for name in ("COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def test_show_table_writes_whole_lines_to_a_pipe(capsys):
    show_table(("IMAGE", "TO"), ROWS)

    assert capsys.readouterr().out == (
        "IMAGE  TO\nnginx  harbor.example.com/dockerhub/library/nginx:1.27\na\n"
    )


def test_show_table_folds_texts_on_a_terminal():
    rows = [("registry.example/a:1", "no rule"), ("a", "it has no path")]
    assert write_to_terminal(show_table, ("IMAGE", "W"), rows) == [
        "\x1b[1mIMAGE\x1b[0m                 \x1b[1mW\x1b[0m",
        "registry.example/a:1  no rule",
        "a                     it has",
        "                      no path",
    ]


def test_show_table_never_cuts_a_name():
    lines = write_to_terminal(show_table, ("IMAGE", "TO"), ROWS)
    assert "harbor.example.com/dockerhub/library/nginx:1.27" in "".join(lines)


@pytest.mark.parametrize("function", [show_text, lambda text: show_records([("ok", "", text)])])
def test_text_never_cuts_a_name(function):
    name = "harbor.example.com/dockerhub/library/nginx:1.27"
    lines = write_to_terminal(function, f"no mirror has {name} now")
    assert name in "".join(lines)


def test_show_table_accepts_no_rows(capsys):
    show_table(("IMAGE",), [])

    assert capsys.readouterr().out == "IMAGE\n"


def test_show_text_folds_words_on_a_terminal():
    lines = write_to_terminal(show_text, "Warning: the rules of this file have no mirror")

    assert lines == ["Warning: the rules of this", "file have no mirror"]


def test_show_records_without_colours_if_no_color_is_set(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    lines = write_to_terminal(show_records, [("ok", "green", "clock: right")], title="Cluster")

    assert lines == ["Cluster", "  ok  clock: right"]


def test_escape_controls_keeps_printable_text():
    assert escape_controls("größe\x1b[31m\n") == "größe\\x1b[31m\\n"

"""The command reference: generated from the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from webhook.cli.main import mirrorhook

INTRODUCTION = """\
# Commands

Every command and option of `mirrorhook`, as `mirrorhook COMMAND --help` shows them.
`python -m webhook` is the same program. This page is generated from the commands.

All commands exit with 0 if they succeed, 1 if the work failed, and 2 if usage, rules or
configuration are wrong. Colours and progress are shown on a terminal only. `--output json` is
[for programs](output.md).

| command | what it does |
|---|---|
"""


def generate() -> str:
    """Return the page."""
    context = click.Context(mirrorhook, info_name="mirrorhook")
    rows = [
        f"| [`{name}`](#mirrorhook-{name}) | {command.get_short_help_str(200)} |"
        for name in mirrorhook.list_commands(context)
        if (command := mirrorhook.get_command(context, name))
    ]
    sections = [
        _format_command(command, path, context) for path, command in _iterate_commands(context)
    ]
    return INTRODUCTION + "\n".join(rows) + "\n\n" + "\n".join(sections)


def _iterate_commands(context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Yield each command with its path, groups before their commands."""
    for name in mirrorhook.list_commands(context):
        command = mirrorhook.get_command(context, name)
        assert command is not None
        yield f"mirrorhook {name}", command
        if isinstance(command, click.Group):
            inner = click.Context(command, parent=context, info_name=name)
            for each in command.list_commands(inner):
                found = command.get_command(inner, each)
                assert found is not None
                yield f"mirrorhook {name} {each}", found


def _format_command(command: click.Command, path: str, parent: click.Context) -> str:
    """Return a section: usage, description, and a table of options."""
    context = click.Context(command, parent=parent, info_name=path.removeprefix("mirrorhook "))
    level = "#" * len(path.split())
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [f"{level} {path}", f"```\n{usage}\n```"]
    if text := inspect.cleandoc(command.help or "").partition("\f")[0]:
        parts.append(_format_help(text))
    rows = [
        f"| {_escape(names)} | {_escape(meaning)} |"
        for parameter in command.get_params(context)
        if (record := parameter.get_help_record(context))
        if record[1] and "--help" not in record[0]
        for names, meaning in [(f"`{record[0]}`", record[1])]
    ]
    if rows:
        parts.append("\n".join(["| option | meaning |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _format_help(text: str) -> str:
    """Return the help of a command as Markdown: examples, which are indented, as code."""
    paragraphs = re.split(r"\n\s*\n", text.replace("\b\n", ""))
    blocks = []
    for paragraph in paragraphs:
        lines = paragraph.splitlines()
        prose = [line for line in lines if not line.startswith("  ")]
        code = [line.strip() for line in lines if line.startswith("  ")]
        if prose:
            blocks.append("\n".join(prose))
        if code:
            blocks.append("```\n" + "\n".join(code) + "\n```")
    return "\n\n".join(blocks)


def _escape(cell: str) -> str:
    """Return a text as a cell of a table."""
    return re.sub(r"\s+", " ", cell).replace("|", "\\|").replace("<", "&lt;")

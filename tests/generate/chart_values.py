"""Parses the documentation of values from the comments of a values.yaml.

A comment that starts with ``# --`` documents the value below it, including nested values.
``# @example`` in the comment starts an example in YAML. ``# @section -- Title`` starts a
section; the rest of that comment is its introduction.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION = re.compile(r"@section -- (.+)")
DESCRIPTION = "-- "
EXAMPLE = "@example"


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the chart.

    Attributes:
        path: Its keys, joined by dots.
        default: Its default, as JSON.
        description: Its description, in Markdown.
        example: An example in YAML, or an empty string.
    """

    path: str
    default: str
    description: str
    example: str


@dataclass(frozen=True, slots=True)
class Section:
    """A group of values.

    Attributes:
        title: Its title.
        introduction: A paragraph, or an empty string.
        values: Its values, in the order of the file.
    """

    title: str
    introduction: str
    values: tuple[Value, ...]


class UndocumentedError(ValueError):
    """A value has no description."""


def parse_values(text: str) -> list[Section]:
    """Return the sections of a values.yaml.

    Raises:
        UndocumentedError: Neither a value nor one of its parents has a description.
    """
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    values = list(_iterate_values(root, lines, ""))
    starts = [
        (number, match[1]) for number, line in enumerate(lines) if (match := SECTION.search(line))
    ]
    ends = [number for number, _ in starts[1:]] + [len(lines)]
    return [
        Section(
            title,
            _read_introduction(lines, start),
            tuple(value for number, value in values if start < number < end),
        )
        for (start, title), end in zip(starts, ends, strict=True)
    ]


def _iterate_values(
    node: yaml.MappingNode, lines: list[str], above: str
) -> Iterator[tuple[int, Value]]:
    """Yield each documented value below *node*, with the number of its line."""
    for key, value in node.value:
        path = f"{above}.{key.value}".lstrip(".")
        line = key.start_mark.line
        comment = _read_comment(lines, line)
        if any(each.startswith(DESCRIPTION) for each in comment):
            yield line, _make_value(path, value, comment)
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _iterate_values(value, lines, path)
        else:
            raise UndocumentedError(f"{path} (line {line + 1}) has no comment `# -- …`")


def _read_comment(lines: list[str], line: int) -> list[str]:
    """Return the comment directly above a line, without its comment marks."""
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return [each.strip().removeprefix("#").removeprefix(" ") for each in lines[first:line]]


def _make_value(path: str, node: yaml.Node, comment: list[str]) -> Value:
    start = next(i for i, each in enumerate(comment) if each.startswith(DESCRIPTION))
    text, example = comment[start:], []
    if EXAMPLE in text:
        split = text.index(EXAMPLE)
        text, example = text[:split], text[split + 1 :]
    loader = yaml.CSafeLoader("")
    try:
        default = loader.construct_document(node)
    finally:
        loader.dispose()
    return Value(
        path,
        json.dumps(default),
        " ".join(text).removeprefix(DESCRIPTION),
        "\n".join(each.removeprefix("  ") for each in example),
    )


def _read_introduction(lines: list[str], start: int) -> str:
    paragraph = []
    for line in lines[start + 1 :]:
        if not line.startswith("#"):
            break
        paragraph.append(line.removeprefix("#").strip())
    return " ".join(paragraph).strip()

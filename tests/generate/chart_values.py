"""What the comments of a chart's values.yaml say about each value.

A comment that starts with ``# --`` documents the value below it, with everything in
it; ``# @example`` in it begins an example in YAML. ``# @section -- Title`` begins a
section, and what follows in that comment introduces it.
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
    """One value that can be set.

    Attributes:
        path: Its keys, joined by dots.
        default: Its default, as JSON.
        description: What it does, in Markdown.
        example: Lines of YAML; empty where there is no example.
    """

    path: str
    default: str
    description: str
    example: str


@dataclass(frozen=True, slots=True)
class Section:
    """Values that belong together.

    Attributes:
        title: Its title.
        introduction: A paragraph, or nothing.
        values: Its values, in the order of the file.
    """

    title: str
    introduction: str
    values: tuple[Value, ...]


class UndocumentedError(ValueError):
    """A value has no description."""


def read(text: str) -> list[Section]:
    """Return the sections of a values.yaml.

    Raises:
        UndocumentedError: A value is documented neither itself nor with what holds it.
    """
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    values = list(_values(root, lines, ""))
    starts = [
        (number, match[1]) for number, line in enumerate(lines) if (match := SECTION.search(line))
    ]
    ends = [number for number, _ in starts[1:]] + [len(lines)]
    return [
        Section(
            title,
            _introduction(lines, start),
            tuple(value for number, value in values if start < number < end),
        )
        for (start, title), end in zip(starts, ends, strict=True)
    ]


def _values(node: yaml.MappingNode, lines: list[str], above: str) -> Iterator[tuple[int, Value]]:
    """Yield each documented value below *node*, with the number of its line."""
    for key, value in node.value:
        path = f"{above}.{key.value}".lstrip(".")
        line = key.start_mark.line
        comment = _comment(lines, line)
        if any(each.startswith(DESCRIPTION) for each in comment):
            yield line, _documented(path, value, comment)
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _values(value, lines, path)
        else:
            raise UndocumentedError(f"{path} (line {line + 1}) has no comment `# -- …`")


def _comment(lines: list[str], line: int) -> list[str]:
    """Return the comment right above a line, without its marks."""
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return [each.strip().removeprefix("#").removeprefix(" ") for each in lines[first:line]]


def _documented(path: str, node: yaml.Node, comment: list[str]) -> Value:
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


def _introduction(lines: list[str], start: int) -> str:
    paragraph = []
    for line in lines[start + 1 :]:
        if not line.startswith("#"):
            break
        paragraph.append(line.removeprefix("#").strip())
    return " ".join(paragraph).strip()

"""YAML, JSON and TOML as plain values that know their line.

Scalars of YAML are the texts that somebody wrote: nothing is a number or a date here.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

from webhook.imports.rule_set import UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "LineList",
    "LineMapping",
    "LineText",
    "LineValue",
    "as_list",
    "as_mapping",
    "as_texts",
    "find_toml_lines",
    "get_line",
    "parse_documents",
    "parse_toml",
]

NULL: Final = "tag:yaml.org,2002:null"
# With every alias written out; no file of rules comes near it.
MAX_VALUES: Final = 200_000
MAX_DEPTH: Final = 64


class LineText(str):
    """A scalar."""

    __slots__ = ("line",)
    line: int


class LineList(list[Any]):
    """A list."""

    line = 0


class LineMapping(dict[str, Any]):
    """A mapping; *lines* are those of its keys."""

    line = 0

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


LineValue: TypeAlias = "LineText | LineList | LineMapping | None"


def parse_documents(text: str) -> Iterator[LineValue]:
    """Yield the documents of a YAML text. JSON is YAML, too.

    Raises:
        UnreadableFileError: It is not YAML, has a key twice, or is too large.
    """
    budget = [MAX_VALUES]
    try:
        nodes = list(yaml.compose_all(str(text), Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise UnreadableFileError(f"{line}invalid YAML: {problem}") from None
    for node in nodes:
        yield _convert(node, budget, 0)


def _convert(node: yaml.Node, budget: list[int], depth: int) -> LineValue:
    """Return the value of a node."""
    budget[0] -= 1
    if budget[0] < 0 or depth > MAX_DEPTH:
        raise UnreadableFileError(
            "the file is too large or nested too deep, with all aliases expanded"
        )
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        if node.tag == NULL:
            return None
        text = LineText(node.value)
        text.line = line
        return text
    if isinstance(node, yaml.SequenceNode):
        values = LineList(_convert(child, budget, depth + 1) for child in node.value)
        values.line = line
        return values
    mapping = LineMapping()
    mapping.line = line
    for key, value in node.value:
        name = str(key.value)
        key_line = key.start_mark.line + 1
        if name in mapping:
            raise UnreadableFileError(f"line {key_line}: duplicate key {name!r}")
        mapping[name] = _convert(value, budget, depth + 1)
        mapping.lines[name] = key_line
    return mapping


def get_line(value: LineValue, default: int = 0) -> int:
    """Return the line of *value*; *default* for None."""
    return default if value is None else value.line


def as_mapping(value: LineValue) -> LineMapping:
    """Return *value* if it is a mapping, else an empty mapping."""
    return value if isinstance(value, LineMapping) else LineMapping()


def as_list(value: LineValue) -> LineList:
    """Return *value* if it is a list, a single text as a list of one, else an empty list."""
    if isinstance(value, LineList):
        return value
    return LineList([value] if isinstance(value, LineText) else [])


def as_texts(value: LineValue) -> list[LineText]:
    """Return the texts of a list; a single text as a list of one.

    Raises:
        UnreadableFileError: The list holds something else.
    """
    texts = as_list(value)
    for text in texts:
        if not isinstance(text, LineText):
            line = get_line(text, texts.line)
            raise UnreadableFileError(f"line {line}: expected a list of strings")
    return texts


def parse_toml(text: str) -> dict[str, Any]:
    """Return the content of a TOML text.

    Raises:
        UnreadableFileError: It is not TOML; TOML allows no key twice.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableFileError(f"invalid TOML: {error}") from None


def find_toml_lines(text: str, start: str) -> list[int]:
    """Return the lines that begin with *start*, such as ``[[registry]]``, ignoring white space."""
    return [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if re.sub(r"\s", "", line).startswith(start)
    ]

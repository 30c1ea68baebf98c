"""YAML, JSON and TOML as plain values that know their line.

Scalars of YAML are the texts that somebody wrote: nothing is a number or a date here.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import yaml

from webhook.imports.rule_set import UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "EmbeddedFile",
    "LineList",
    "LineMapping",
    "LineText",
    "LineValue",
    "as_list",
    "as_mapping",
    "as_texts",
    "find_toml_line",
    "find_toml_lines",
    "get_line",
    "get_priority",
    "get_strings",
    "get_table",
    "get_tables",
    "is_true",
    "iter_configs",
    "iter_objects",
    "parse_documents",
    "parse_toml",
    "unwrap_config_maps",
]

NULL: Final = "tag:yaml.org,2002:null"
# With every alias written out; no file of rules comes near it.
MAX_VALUES: Final = 200_000
MAX_DEPTH: Final = 64


class LineText(str):
    """A scalar; *is_block* if each of its lines is one of the file, below *line*."""

    __slots__ = ("is_block", "line")
    line: int
    is_block: bool


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


class EmbeddedFile(NamedTuple):
    """A file, or one in a scalar of another file.

    Attributes:
        text: Its content.
        line: The line of the scalar; 0 for a file of its own.
        is_block: Whether its lines are lines of the other file.
        key: The key in the ConfigMap; empty for a file of its own.
    """

    text: str
    line: int = 0
    is_block: bool = True
    key: str = ""

    def find_line(self, number: int) -> int:
        """Return the line of the outer file for a line of this one."""
        return self.line + number if self.is_block else self.line


def parse_documents(file: str | EmbeddedFile) -> Iterator[LineValue]:
    """Yield the documents of a YAML text. JSON is YAML, too.

    Raises:
        UnreadableFileError: It is not YAML, has a key twice, or is too large.
    """
    if not isinstance(file, EmbeddedFile):
        file = EmbeddedFile(file)
    try:
        nodes = list(yaml.compose_all(str(file.text), Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {file.find_line(mark.line + 1)}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise UnreadableFileError(f"{line}invalid YAML: {problem}") from None
    converter = _Converter(file)
    for node in nodes:
        yield converter.convert(node, 0)


class _Converter:
    """Converts nodes of a file to values."""

    def __init__(self, file: EmbeddedFile) -> None:
        self._file = file
        self._budget = MAX_VALUES

    def convert(self, node: yaml.Node, depth: int) -> LineValue:
        """Return the value of a node."""
        self._budget -= 1
        if self._budget < 0 or depth > MAX_DEPTH:
            raise UnreadableFileError(
                "the file is too large or nested too deep, with all aliases expanded"
            )
        line = self._find_line(node)
        if isinstance(node, yaml.ScalarNode):
            if node.tag == NULL:
                return None
            text = LineText(node.value)
            text.line = line
            text.is_block = node.style == "|"
            return text
        if isinstance(node, yaml.SequenceNode):
            values = LineList(self.convert(child, depth + 1) for child in node.value)
            values.line = line
            return values
        return self._convert_mapping(node, line, depth)

    def _convert_mapping(self, node: yaml.Node, line: int, depth: int) -> LineMapping:
        mapping = LineMapping()
        mapping.line = line
        for key, value in node.value:
            name = str(key.value)
            key_line = self._find_line(key)
            if name in mapping:
                raise UnreadableFileError(f"line {key_line}: duplicate key {name!r}")
            mapping[name] = self.convert(value, depth + 1)
            mapping.lines[name] = key_line
        return mapping

    def _find_line(self, node: yaml.Node) -> int:
        return self._file.find_line(node.start_mark.line + 1)


def iter_objects(text: str) -> Iterator[LineMapping]:
    """Yield the Kubernetes objects in a YAML text, also those in lists.

    Raises:
        UnreadableFileError: It is not YAML, has a key twice, or is too large.
    """
    for document in parse_documents(text):
        value = as_mapping(document)
        if str(value.get("kind", "")).endswith("List") and isinstance(value.get("items"), LineList):
            yield from map(as_mapping, as_list(value["items"]))
        elif value:
            yield value


def unwrap_config_maps(text: str) -> list[EmbeddedFile]:
    """Return the files in the ConfigMaps of a YAML text, or the text itself if it has none.

    Raises:
        UnreadableFileError: It is not YAML, has a key twice, or is too large.
    """
    files = [
        EmbeddedFile(value, value.line, value.is_block, key)
        for resource in iter_objects(text)
        if resource.get("kind") == "ConfigMap"
        for key, value in as_mapping(resource.get("data")).items()
        if isinstance(value, LineText)
    ]
    return files or [EmbeddedFile(text)]


def iter_configs(text: str) -> Iterator[LineMapping]:
    """Yield the configurations in a YAML text, or in its ConfigMaps.

    Raises:
        UnreadableFileError: It is not YAML, has a key twice, or is too large.
    """
    for file in unwrap_config_maps(text):
        for document in parse_documents(file):
            if isinstance(document, LineMapping):
                yield document


def is_true(value: LineValue) -> bool:
    """Return whether a scalar is the boolean true of YAML 1.1."""
    return isinstance(value, LineText) and value.lower() in ("true", "yes", "on", "y")


def get_line(value: LineValue, default: int = 0) -> int:
    """Return the line of *value*; *default* for None."""
    return default if value is None else value.line


def get_priority(value: LineMapping) -> int:
    """Return the ``priority`` of a rule or resource; 0 if it is missing or not a number."""
    text = str(value.get("priority") or "0")
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,10}", text) else 0


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
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise UnreadableFileError(f"invalid TOML: {error}") from None


def get_table(table: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a table of TOML; empty if it is missing.

    Raises:
        UnreadableFileError: It is something else.
    """
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise UnreadableFileError(f"{key} is not a table")
    return value


def get_tables(table: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return an array of tables of TOML; empty if it is missing.

    Raises:
        UnreadableFileError: It is something else.
    """
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise UnreadableFileError(f"{key} is not an array of tables, such as [[{key}]]")
    return values


def get_strings(table: dict[str, Any], key: str) -> list[str]:
    """Return an array of strings of TOML; empty if it is missing.

    Raises:
        UnreadableFileError: It is something else.
    """
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UnreadableFileError(f"{key} is not an array of strings")
    return values


def find_toml_line(text: str, start: str) -> int:
    """Return the first line of `find_toml_lines`; 0 if there is none."""
    return next(iter(find_toml_lines(text, start)), 0)


def find_toml_lines(text: str, start: str) -> list[int]:
    """Return the lines that begin with *start*, such as ``[[registry]]``.

    White space and quotes do not matter.
    """
    return [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if re.sub(r"[\s'\"]", "", line).startswith(re.sub(r"[\s'\"]", "", start))
    ]

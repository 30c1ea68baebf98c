"""YAML and JSON as plain values that know the line they stand in.

Scalars are the texts that somebody wrote, so that nothing is a number or a date here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

from webhook.imports.sketch import UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Listing", "Table", "Text", "Tree", "documents", "entries", "line_of", "table"]

NOTHING: Final = "tag:yaml.org,2002:null"
# With every alias written out; no file of rules comes near it.
MAX_VALUES: Final = 200_000
MAX_DEPTH: Final = 64


class Text(str):
    """A scalar."""

    __slots__ = ("line",)
    line: int


class Listing(list[Any]):
    """A list."""

    line = 0


class Table(dict[str, Any]):
    """A mapping; *lines* are those of its keys."""

    line = 0

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


Tree: TypeAlias = "Text | Listing | Table | None"


def documents(text: str) -> Iterator[Tree]:
    """Yield the documents of a YAML text; JSON is such a text.

    Raises:
        UnreadableFileError: It is no YAML, has a key twice, or is out of all proportion.
    """
    budget = [MAX_VALUES]
    try:
        nodes = list(yaml.compose_all(str(text), Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise UnreadableFileError(f"{line}it is not YAML: {problem}") from None
    for node in nodes:
        yield grown(node, budget, 0)


def grown(node: yaml.Node, budget: list[int], depth: int) -> Tree:
    """Return the value of a node."""
    budget[0] -= 1
    if budget[0] < 0 or depth > MAX_DEPTH:
        raise UnreadableFileError("the file is too large or too deep, aliases written out")
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        if node.tag == NOTHING:
            return None
        text = Text(node.value)
        text.line = line
        return text
    if isinstance(node, yaml.SequenceNode):
        listing = Listing(grown(child, budget, depth + 1) for child in node.value)
        listing.line = line
        return listing
    mapping = Table()
    mapping.line = line
    for key, value in node.value:
        name = str(key.value)
        if name in mapping:
            at = key.start_mark.line + 1
            raise UnreadableFileError(f"line {at}: the key {name!r} stands there twice")
        mapping[name] = grown(value, budget, depth + 1)
        mapping.lines[name] = key.start_mark.line + 1
    return mapping


def line_of(value: Tree, otherwise: int = 0) -> int:
    """Return the line of a value; that of what holds it for nothing."""
    return otherwise if value is None else value.line


def table(value: Tree) -> Table:
    """Return *value* if it is a mapping, else an empty one."""
    return value if isinstance(value, Table) else Table()


def entries(value: Tree) -> Listing:
    """Return *value* if it is a list; a single text as a list of one; else an empty list."""
    if isinstance(value, Listing):
        return value
    return Listing([value] if isinstance(value, Text) else [])

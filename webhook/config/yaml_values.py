"""The YAML tree of a rules file: checked to be safe, and read value by value.

Nodes are read instead of Python objects, so that each value has its source location, and ``off``
and ``012`` are still the texts that somebody wrote.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

import yaml

from webhook.config.errors import (
    ConfigurationError,
    Diagnostics,
    Problem,
    SourceLocation,
    explain_yaml_error,
)
from webhook.core import InvalidRuleError
from webhook.core.errors import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from enum import StrEnum

    Choice = TypeVar("Choice", bound=StrEnum)
    Value = TypeVar("Value")

__all__ = ["MAX_BYTES", "YAMLValue", "compose_documents", "compose_yaml", "make_node", "suggest"]

# A ConfigMap cannot hold more than this either.
MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 32  # libyaml itself refuses more than 1,000 levels
MAX_NODES: Final = 1_000_000  # with every alias written out

# Characters that YAML 1.1 does not allow (section 5.1).
UNPRINTABLE: Final = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

EMPTY: Final = (
    "the file is empty: add rules: with a list of rules, or profiles: with a list of names "
    "(`mirrorhook profiles` lists them); to change no images, write rules: []"
)

CORE: Final = "tag:yaml.org,2002:"
TEXT: Final = CORE + "str"
LIST: Final = CORE + "seq"
MAPPING: Final = CORE + "map"
BOOLEAN: Final = CORE + "bool"
INTEGER: Final = CORE + "int"
FLOAT: Final = CORE + "float"
NULL: Final = CORE + "null"
MERGE: Final = CORE + "merge"
# How YAML 1.1 reads a value without quotes if it is not a string.
KINDS: Final = {
    BOOLEAN: "boolean",
    NULL: "null value",
    INTEGER: "number",
    FLOAT: "number",
    CORE + "timestamp": "date",
    CORE + "value": "special key",
    MERGE: "special key",
}
# The tags that values have without being given one.
NATURAL_TAGS: Final[dict[type[yaml.Node], frozenset[str]]] = {
    yaml.ScalarNode: frozenset({TEXT, *KINDS}),
    yaml.SequenceNode: frozenset({LIST}),
    yaml.MappingNode: frozenset({MAPPING}),
}
BOOLEANS: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
NOWHERE: Final = yaml.Mark("", 0, -1, -1, "", 0)  # lines of a mark count from 0
PLAIN_NUMBER: Final = re.compile(r"[1-9]\d{0,8}")
PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")


def compose_yaml(content: bytes, origin: str, diagnostics: Diagnostics) -> YAMLValue:
    """Return the content of a rules file: one YAML document, which is a mapping.

    Args:
        content: The file.
        origin: Its name, for messages.
        diagnostics: Where problems with the values are added.

    Raises:
        ConfigurationError: The file is too large, not UTF-8, not YAML or not a mapping.
    """
    start = SourceLocation(origin)
    root = _compose(content, origin, lambda text: yaml.compose(text, Loader=yaml.CSafeLoader))
    if root is None or not root.value:
        raise _error(start, EMPTY)
    location = _locate(root, origin, "")
    if isinstance(root, yaml.SequenceNode):
        raise _error(location, "the file is a list: write it under a key such as rules:")
    if not isinstance(root, yaml.MappingNode):
        raise _error(
            location, "the file is a single value: write keys such as rules: and profiles:"
        )
    _measure(root, origin, (), {})
    return YAMLValue(root, location, diagnostics)


def compose_documents(content: bytes, origin: str, diagnostics: Diagnostics) -> list[YAMLValue]:
    """Return the YAML documents of a file, without empty ones.

    Args:
        content: The file.
        origin: Its name, for messages.
        diagnostics: Where problems with the values are added.

    Raises:
        ConfigurationError: The file is too large, not UTF-8 or not YAML.
    """
    roots = _compose(
        content, origin, lambda text: list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    )
    values = []
    for root in roots:
        if root.tag != NULL:  # between two lines of dashes
            _measure(root, origin, (), {})
            values.append(YAMLValue(root, _locate(root, origin, ""), diagnostics))
    return values


def _compose(content: bytes, origin: str, compose: Callable[[str], Value]) -> Value:
    if len(content) > MAX_BYTES:
        raise _error(SourceLocation(origin), f"the file is larger than {MAX_BYTES} bytes")
    text = _decode(content, origin)
    try:
        return compose(text)
    except yaml.YAMLError as error:
        raise ConfigurationError([explain_yaml_error(error, text, origin)]) from None


def make_node(value: object) -> yaml.Node:
    """Return the YAML node of a value from JSON, which has no line."""
    if isinstance(value, dict):
        pairs = [(make_node(key), make_node(each)) for key, each in value.items()]
        return yaml.MappingNode(MAPPING, pairs, NOWHERE)
    if isinstance(value, list):
        return yaml.SequenceNode(LIST, [make_node(each) for each in value], NOWHERE)
    if isinstance(value, bool):
        return yaml.ScalarNode(BOOLEAN, str(value).lower(), NOWHERE)
    if isinstance(value, int | float):
        return yaml.ScalarNode(INTEGER if isinstance(value, int) else FLOAT, str(value), NOWHERE)
    return yaml.ScalarNode(NULL if value is None else TEXT, value or "", NOWHERE)


def _error(location: SourceLocation, message: str) -> ConfigurationError:
    return ConfigurationError([Problem.at(location, message)])


def _locate(node: yaml.Node, origin: str, path: str) -> SourceLocation:
    return SourceLocation(origin, node.start_mark.line + 1, node.start_mark.column + 1, path)


def _decode(content: bytes, origin: str) -> str:
    """Return the text of a file in UTF-8, without a byte order mark."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _error(SourceLocation(origin), "the file is in UTF-16: save it as UTF-8")
    content = content.removeprefix(codecs.BOM_UTF8)

    def after(before: str) -> SourceLocation:
        return SourceLocation(origin, before.count("\n") + 1, len(before) - before.rfind("\n"))

    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        problem = f"byte {content[error.start]:#04x} is not UTF-8: save the file as UTF-8"
        raise _error(after(before), problem) from None
    unprintable = UNPRINTABLE.search(text)
    if unprintable:
        problem = f"YAML does not allow the control character {unprintable[0]!r}: remove it"
        raise _error(after(text[: unprintable.start()]), problem)
    return text


def _measure(
    node: yaml.Node, origin: str, parents: tuple[int, ...], known: dict[int, tuple[int, int]]
) -> tuple[int, int]:
    """Return the number of nodes and of levels of a tree, with every alias written out.

    Aliases make a tree a graph: it may contain itself, or be small and yet endless when written
    out. Each collection is measured once.

    Args:
        node: The tree.
        origin: The file.
        parents: The collections around *node*, by identity.
        known: The results for collections, by identity.

    Raises:
        ConfigurationError: The tree is too deep, too large, or contains itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1, 1
    key = id(node)
    if key in parents:
        location = _locate(node, origin, "")
        raise _error(location, "the alias refers to a value that contains it: remove it")
    if key not in known:
        parts = node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        nodes = levels = 1
        if len(parents) < MAX_DEPTH:
            sizes = [_measure(part, origin, (*parents, key), known) for part in parts]
            nodes += sum(size for size, _ in sizes)
            levels += max((depth for _, depth in sizes), default=0)
        known[key] = nodes, levels
    nodes, levels = known[key]
    if len(parents) + levels > MAX_DEPTH:
        problem = f"the file is nested more than {MAX_DEPTH} levels deep"
        raise _error(SourceLocation(origin), problem)
    if nodes > MAX_NODES:
        problem = "this is too large with all aliases expanded"
        raise _error(_locate(node, origin, ""), problem)
    return known[key]


@dataclass(frozen=True, slots=True)
class YAMLValue:
    """A value in a rules file.

    The methods named ``read_…`` raise nothing: they add a problem to *diagnostics*, and return
    None or an empty collection.

    Attributes:
        node: The value.
        location: Where it is.
        diagnostics: Where problems with the value are added.
    """

    node: yaml.Node
    location: SourceLocation
    diagnostics: Diagnostics

    def add_problem(self, message: str) -> None:
        """Add a problem with this value."""
        self.diagnostics.add_problem(self.location, message)

    def read_text(self) -> str | None:
        """Return a text."""
        node = self.node
        if isinstance(node, yaml.ScalarNode) and node.tag == TEXT:
            return str(node.value)
        if isinstance(node, yaml.ScalarNode) and node.value and node.tag in KINDS:
            kind = KINDS[node.tag]
            advice = f'write it in quotes, "{node.value}"'
            self.add_problem(f"YAML reads {node.value} as a {kind}: {advice}")
        else:
            self.add_problem(f"expected a string, got {self.describe()}")
        return None

    def read_as(self, parse: Callable[[str], Value]) -> Value | None:
        """Return what *parse* makes of a text; an `InvalidRuleError` is a problem."""
        text = self.read_text()
        try:
            return None if text is None else parse(text)
        except InvalidRuleError as error:
            self.add_problem(error.problem)
            return None

    def read_boolean(self) -> bool | None:
        """Return true or false."""
        value = self._parse_boolean()
        if value is None:
            written = str(self.node.value).lower()
            advice = f": write {written} without quotes" if written in BOOLEANS else ""
            self.add_problem(f"expected true or false, got {self.describe()}{advice}")
        return value

    def is_false(self) -> bool:
        """Return whether this is one of the spellings of false, without adding a problem."""
        return self._parse_boolean() is False

    def _parse_boolean(self) -> bool | None:
        if self.node.tag != BOOLEAN:
            return None
        return BOOLEANS.get(str(self.node.value).lower())

    def read_integer(self, least: int, most: int) -> int | None:
        """Return a whole number from *least* to *most*."""
        text = str(self.node.value) if self.node.tag == INTEGER else ""
        if not PLAIN_NUMBER.fullmatch(text) or not least <= int(text) <= most:
            self.add_problem(f"expected a number from {least} to {most}, got {self.describe()}")
            return None
        return int(text)

    def read_choice(self, choices: type[Choice]) -> Choice | None:
        """Return one of a few texts."""
        text = self.read_text()
        if text is None:
            return None
        try:
            return choices(text)
        except ValueError:
            advice = suggest(text, tuple(choices)) or f"use {' or '.join(choices)}"
            self.add_problem(f"unknown value {quote(text)}; {advice}")
            return None

    def read_list(self) -> list[YAMLValue]:
        """Return the values of a list."""
        if not isinstance(self.node, yaml.SequenceNode) or self.node.tag != LIST:
            advice = ""
            if isinstance(self.node, yaml.ScalarNode) and self.node.value:
                advice = f": write [{self.node.value}]"
            self.add_problem(f"expected a list, got {self.describe()}{advice}")
            return []
        return [self._make_child(node, f"[{i}]") for i, node in enumerate(self.node.value)]

    def read_mapping(self, known: tuple[str, ...] | None = None) -> dict[str, YAMLValue]:
        """Return the values of a mapping by their keys, which are read as texts.

        The first value of a repeated key is kept. A key that is written takes precedence over
        one that ``<<`` merges in (`merge`_).

        Args:
            known: The keys that are allowed; None for all.

        .. _merge: https://yaml.org/type/merge.html
        """
        if not isinstance(self.node, yaml.MappingNode) or self.node.tag != MAPPING:
            self.add_problem(f"expected a mapping, got {self.describe()}")
            return {}
        entries: dict[str, YAMLValue] = {}
        for name, key, node in self._iter_pairs(self.node):
            if known is not None and name not in known:
                advice = suggest(name, known) or f"known keys are {', '.join(known)}"
                key.add_problem(f"unknown key; {advice}")
                continue
            value = self._make_value(node, key.location.path)
            if isinstance(node, yaml.ScalarNode) and not node.value:
                # An empty value has no location of its own: use that of its key.
                value = YAMLValue(node, key.location, self.diagnostics)
            entries[name] = value
        return entries

    def _iter_pairs(self, mapping: yaml.MappingNode) -> Iterator[tuple[str, YAMLValue, yaml.Node]]:
        """Yield the name, the key and the value of each entry, and each key once."""
        lines: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for node, value in mapping.value:
            if node.tag == MERGE:
                merged.append(value)
                continue
            key = self._make_key(node)
            if not isinstance(node, yaml.ScalarNode):
                key.add_problem(f"expected a key, got {key.describe()}")
            elif node.value in lines:
                key.add_problem(f"duplicate key: line {lines[node.value]} has it already")
            else:
                lines[node.value] = key.location.line
                yield node.value, key, value
        for value in merged:
            for name, key, inherited in self._iter_merged_pairs(value):
                if name not in lines:
                    lines[name] = key.location.line
                    yield name, key, inherited

    def _iter_merged_pairs(self, value: yaml.Node) -> Iterator[tuple[str, YAMLValue, yaml.Node]]:
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for source in sources:
            if isinstance(source, yaml.MappingNode):
                yield from self._iter_pairs(source)
            else:
                self._make_child(source, "").add_problem("<< can only merge mappings")

    def _make_key(self, node: yaml.Node) -> YAMLValue:
        """Return a key, with the path of its value."""
        if not isinstance(node, yaml.ScalarNode):
            return self._make_child(node, "")
        if not PLAIN_KEY.fullmatch(node.value):
            return self._make_child(node, f"[{quote(node.value)}]")
        return self._make_child(node, f".{node.value}" if self.location.path else node.value)

    def _make_child(self, node: yaml.Node, step: str) -> YAMLValue:
        return self._make_value(node, self.location.path + step)

    def _make_value(self, node: yaml.Node, path: str) -> YAMLValue:
        return YAMLValue(node, _locate(node, self.location.origin, path), self.diagnostics)

    def describe(self) -> str:
        """Return what this value is, in a few words for a message."""
        node = self.node
        if node.tag not in NATURAL_TAGS[type(node)]:
            return f"a value with the tag {quote(node.tag)}"
        if isinstance(node, yaml.ScalarNode):
            if not node.value and node.tag == NULL:
                return "nothing"
            return f"the {KINDS.get(node.tag, 'string')} {quote(node.value)}"
        return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


@lru_cache(maxsize=1024)
def suggest(word: str, known: tuple[str, ...]) -> str:
    """Return "did you mean …?" for a misspelt *word*; empty if no known word is similar."""
    by_lower_case = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower_case, n=1)
    return f"did you mean {by_lower_case[found[0]]}?" if found else ""

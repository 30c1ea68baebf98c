"""Reading values out of a YAML tree, each with the place it was written at.

Nothing here raises: what is wrong is noted, and the value is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

import yaml

from webhook.config.problems import Findings, Spot
from webhook.core.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from enum import StrEnum

    Choice = TypeVar("Choice", bound=StrEnum)

__all__ = ["Place", "likely"]

CORE: Final = "tag:yaml.org,2002:"
TEXT: Final = CORE + "str"
LIST: Final = CORE + "seq"
MAPPING: Final = CORE + "map"
BOOLEAN: Final = CORE + "bool"
WHOLE: Final = CORE + "int"
NOTHING: Final = CORE + "null"
MERGE: Final = CORE + "merge"
# What YAML 1.1 makes of a value without quotes, where it is no text.
KINDS: Final = {
    BOOLEAN: "a boolean",
    NOTHING: "nothing",
    WHOLE: "a number",
    CORE + "float": "a number",
    CORE + "timestamp": "a date",
    CORE + "value": "a sign of its own",
    MERGE: "a sign of its own",
}
# The tags that values have without being given one.
NATURAL: Final[dict[type[yaml.Node], frozenset[str]]] = {
    yaml.ScalarNode: frozenset({TEXT, *KINDS}),
    yaml.SequenceNode: frozenset({LIST}),
    yaml.MappingNode: frozenset({MAPPING}),
}
BOOLEANS: Final = {
    "yes": True,
    "true": True,
    "on": True,
    "no": False,
    "false": False,
    "off": False,
}
PLAIN_NUMBER: Final = re.compile(r"[1-9]\d{0,8}")
PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")


@dataclass(frozen=True, slots=True)
class Place:
    """A value in a rules file, still as it is written.

    Attributes:
        node: The value.
        spot: Where it stands.
        findings: Takes what is wrong with it.
    """

    node: yaml.Node
    spot: Spot
    findings: Findings

    @classmethod
    def of(cls, node: yaml.Node, origin: str, path: str, findings: Findings) -> Place:
        """Return the place of *node* in the file *origin*."""
        mark = node.start_mark
        return cls(node, Spot(origin, mark.line + 1, mark.column + 1, path), findings)

    def below(self, node: yaml.Node, step: str) -> Place:
        """Return the place of a *node* of this one, one *step* further."""
        return self.of(node, self.spot.origin, self.spot.path + step, self.findings)

    def refuse(self, message: str) -> None:
        """Note a problem with this value."""
        self.findings.refuse(self.spot, message)

    def text(self) -> str | None:
        """Return a text."""
        node = self.node
        if isinstance(node, yaml.ScalarNode) and node.tag == TEXT:
            return str(node.value)
        if isinstance(node, yaml.ScalarNode) and node.value and node.tag in KINDS:
            kind = KINDS[node.tag]
            self.refuse(f'{node.value} is {kind} to YAML: write it in quotes, "{node.value}"')
        else:
            self.refuse(f"{self.described()} stands where a text belongs")
        return None

    def boolean(self) -> bool | None:
        """Return true or false."""
        value = self._boolean()
        if value is None:
            written = str(self.node.value).lower()
            advice = f": write {written} without quotes" if written in BOOLEANS else ""
            self.refuse(f"{self.described()} stands where true or false belongs{advice}")
        return value

    def is_false(self) -> bool:
        """Say whether it is one of the spellings of false, without noting anything."""
        return self._boolean() is False

    def _boolean(self) -> bool | None:
        if self.node.tag != BOOLEAN:
            return None
        return BOOLEANS.get(str(self.node.value).lower())

    def whole(self, least: int, most: int) -> int | None:
        """Return a whole number."""
        text = str(self.node.value) if self.node.tag == WHOLE else ""
        if not PLAIN_NUMBER.fullmatch(text) or not least <= int(text) <= most:
            self.refuse(f"{self.described()} is no whole number from {least} to {most}")
            return None
        return int(text)

    def choice(self, choices: type[Choice]) -> Choice | None:
        """Return one of a few texts."""
        text = self.text()
        if text is None:
            return None
        try:
            return choices(text)
        except ValueError:
            advice = likely(text, tuple(choices)) or f"write {' or '.join(choices)}"
            self.refuse(f"{quoted(text)} is none of its values; {advice}")
            return None

    def items(self) -> list[Place]:
        """Return the values of a list."""
        if not isinstance(self.node, yaml.SequenceNode) or self.node.tag != LIST:
            advice = ""
            if isinstance(self.node, yaml.ScalarNode) and self.node.value:
                advice = f": write [{self.node.value}]"
            self.refuse(f"{self.described()} stands where a list belongs{advice}")
            return []
        return [self.below(node, f"[{i}]") for i, node in enumerate(self.node.value)]

    def entries(self, known: tuple[str, ...] | None = None) -> dict[str, Place]:
        """Return the values of a mapping by their keys, which are taken as texts.

        Of a key that stands twice the first value is kept. Keys that ``<<``
        merges in (`merge`_) give way to those that are written.

        Args:
            known: The keys that are allowed; all, if it is not given.

        .. _merge: https://yaml.org/type/merge.html
        """
        if not isinstance(self.node, yaml.MappingNode) or self.node.tag != MAPPING:
            self.refuse(f"{self.described()} stands where a mapping belongs")
            return {}
        entries: dict[str, Place] = {}
        for name, key, value in self._pairs(self.node):
            if known is not None and name not in known:
                advice = likely(name, known) or f"known are {', '.join(known)}"
                key.refuse(f"there is no such key here; {advice}")
            else:
                entries[name] = self._valued(key, value)
        return entries

    def _pairs(self, mapping: yaml.MappingNode) -> Iterator[tuple[str, Place, yaml.Node]]:
        """Yield each key once, with its place and its value."""
        lines: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for node, value in mapping.value:
            if node.tag == MERGE:
                merged.append(value)
                continue
            key = self._keyed(node)
            if not isinstance(node, yaml.ScalarNode):
                key.refuse(f"{key.described()} stands where a key belongs")
            elif node.value in lines:
                key.refuse(f"the key stands in line {lines[node.value]} already")
            else:
                lines[node.value] = key.spot.line
                yield node.value, key, value
        for value in merged:
            for name, key, inherited in self._merged(value):
                if name not in lines:
                    lines[name] = key.spot.line
                    yield name, key, inherited

    def _merged(self, value: yaml.Node) -> Iterator[tuple[str, Place, yaml.Node]]:
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for source in sources:
            if isinstance(source, yaml.MappingNode):
                yield from self._pairs(source)
            else:
                self.below(source, "").refuse("<< merges mappings only")

    def _keyed(self, key: yaml.Node) -> Place:
        """Return the place of a key, under the path that its value has."""
        if not isinstance(key, yaml.ScalarNode):
            return self.below(key, "")
        if not PLAIN_KEY.fullmatch(key.value):
            return self.below(key, f"[{quoted(key.value)}]")
        return self.below(key, f".{key.value}" if self.spot.path else key.value)

    def _valued(self, key: Place, value: yaml.Node) -> Place:
        """Return the place of the value of a *key*; that of the key if it is empty."""
        spot = key.spot
        mark = value.start_mark
        if isinstance(value, yaml.ScalarNode) and not value.value:
            return Place(value, spot, self.findings)
        there = Spot(spot.origin, mark.line + 1, mark.column + 1, spot.path)
        return Place(value, there, self.findings)

    def described(self) -> str:
        """Say in a few words what the value is."""
        node = self.node
        if node.tag not in NATURAL[type(node)]:
            return f"a value with the tag {quoted(node.tag)}"
        if isinstance(node, yaml.ScalarNode):
            return "nothing" if node.tag == NOTHING else quoted(node.value)
        return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


@lru_cache(maxsize=1024)
def likely(word: str, known: tuple[str, ...]) -> str:
    """Return "did you mean …?" for a misspelt *word*; empty if nothing is like it."""
    by_lower_case = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower_case, n=1)
    return f"did you mean {by_lower_case[found[0]]}?" if found else ""

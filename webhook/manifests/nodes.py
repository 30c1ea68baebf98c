"""Documents as trees of nodes that know where in the source they are written.

YAML and JSON documents both become such a tree. Their sources are kept, and only spans of
them are ever replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "DocumentError",
    "MappingNode",
    "Node",
    "OwnedNode",
    "ScalarNode",
    "SequenceNode",
    "TreeBuilder",
    "get_child",
    "to_plain_values",
]

MERGE: Final = "<<"


class DocumentError(ValueError):
    """A document cannot be read.

    Args:
        problem: What is wrong with it.
        offset: Where, in characters from the beginning of the document.
    """

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.offset = offset


@dataclass(slots=True, eq=False)
class ScalarNode:
    """A string or another single value.

    Attributes:
        value: The value as a string.
        is_text: Whether it is a string, rather than a number, a boolean or null.
        style: ``"``, ``'``, ``|``, ``>``, or empty for a plain one.
        start: Where its source begins, including its anchor and tag.
        end: Where its source ends; for a block this may be after its last line.
        uses: How often it is in the tree: once, and once for each alias.
    """

    value: str
    is_text: bool
    style: str
    start: int
    end: int
    uses: int = 0


@dataclass(slots=True, eq=False)
class MappingNode:
    """A mapping, with its entries in the order of the source, and where that begins."""

    entries: list[tuple[Node, Node]] = field(default_factory=list)
    start: int = 0


@dataclass(slots=True, eq=False)
class SequenceNode:
    """A list, and where its source begins."""

    items: list[Node] = field(default_factory=list)
    start: int = 0


Node: TypeAlias = ScalarNode | MappingNode | SequenceNode


class OwnedNode(NamedTuple):
    """A node, and the mapping or list that it is written in."""

    owner: Node
    node: Node


class TreeBuilder:
    """Builds the trees of a document from its nodes, in the order of the source.

    Attributes:
        roots: The trees so far.
        complex_key: The first key that is a mapping or a list, as ``{{ .Values.a }}`` has one.
    """

    def __init__(self) -> None:
        self.roots: list[Node] = []
        self.complex_key: MappingNode | SequenceNode | None = None
        self._open: list[MappingNode | SequenceNode] = []
        self._keys: list[Node | None] = []

    def add(self, node: Node) -> None:
        """Add a node to the mapping or list that was opened last; in a mapping, keys alternate."""
        if isinstance(node, ScalarNode):
            node.uses += 1
        if not self._open:
            self.roots.append(node)
            return
        parent, key = self._open[-1], self._keys[-1]
        if isinstance(parent, SequenceNode):
            parent.items.append(node)
        elif key is None:
            self._keys[-1] = node
            if self.complex_key is None and not isinstance(node, ScalarNode):
                self.complex_key = node
        else:
            parent.entries.append((key, node))
            self._keys[-1] = None

    def open(self, node: MappingNode | SequenceNode) -> None:
        """Add a mapping or list; what is added before it is closed belongs to it."""
        self.add(node)
        self._open.append(node)
        self._keys.append(None)

    def close(self) -> None:
        """Close the mapping or list that was opened last."""
        self._open.pop()
        self._keys.pop()


def get_child(node: Node, token: str) -> OwnedNode | None:
    """Return the child of a mapping by its key, or of a list by its index in decimal digits.

    Where a merge key brings the entry in, its owner is the mapping that is merged.
    """
    if isinstance(node, SequenceNode):
        index = int(token) if token.isdecimal() else len(node.items)
        return OwnedNode(node, node.items[index]) if index < len(node.items) else None
    if isinstance(node, MappingNode):
        for mapping in (node, *_iterate_merged(node)):
            for key, value in reversed(mapping.entries):
                if isinstance(key, ScalarNode) and key.value == token:
                    return OwnedNode(mapping, value)
    return None


def to_plain_values(node: Node, depth: int, known: dict[tuple[int, int], Any] | None = None) -> Any:
    """Return a tree as dicts, lists and strings; None for other values, and for deeper ones.

    Args:
        node: The root of the tree.
        depth: How many levels to go down.
        known: Results so far: aliases can make a tree much larger than its source.
    """
    if isinstance(node, ScalarNode):
        return node.value if node.is_text else None
    if depth == 0:
        return None
    known = {} if known is None else known
    key = id(node), depth
    if key not in known:
        below = depth - 1
        if isinstance(node, SequenceNode):
            known[key] = [to_plain_values(item, below, known) for item in node.items]
        else:
            values = known[key] = {}
            for mapping in (*reversed([*_iterate_merged(node)]), node):
                for name, value in mapping.entries:
                    if isinstance(name, ScalarNode):
                        values[name.value] = to_plain_values(value, below, known)
    return known[key]


def _iterate_merged(mapping: MappingNode) -> Iterator[MappingNode]:
    """Yield the mappings that *mapping* merges, the one with the highest precedence first.

    Merges are followed for two levels; nobody writes more.
    """
    for key, value in mapping.entries:
        if not isinstance(key, ScalarNode) or key.value != MERGE or key.style:
            continue
        for source in value.items if isinstance(value, SequenceNode) else (value,):
            if isinstance(source, MappingNode):
                yield source
                for inner_key, inner in source.entries:
                    if isinstance(inner_key, ScalarNode) and inner_key.value == MERGE:
                        yield from (inner,) if isinstance(inner, MappingNode) else ()

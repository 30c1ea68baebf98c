"""A document as a tree whose texts know where they stand.

YAML and JSON both become such a tree; the sources of both are kept, and only spans
of them are ever replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DocumentError", "Mapping", "Node", "Scalar", "Sequence", "child", "plain"]

MERGE: Final = "<<"


class DocumentError(ValueError):
    """A document that cannot be read.

    Args:
        problem: What is wrong with it, in words.
        offset: Where, in characters from the beginning of the document.
    """

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.offset = offset


@dataclass(slots=True, eq=False)
class Scalar:
    """A text or another single value.

    Attributes:
        value: The value as a text.
        is_text: Whether it is a text, rather than a number, a boolean or null.
        style: ``"``, ``'``, ``|``, ``>``, or empty for a plain one.
        start: Where its source begins, with its anchor and tag if it has any.
        end: Where its source ends; that of a block may end late.
        uses: How often it stands in the tree: once, and once for each alias.
    """

    value: str
    is_text: bool
    style: str
    start: int
    end: int
    uses: int = 0


@dataclass(slots=True, eq=False)
class Mapping:
    """A mapping, with its entries in the order of the source."""

    entries: list[tuple[Node, Node]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Sequence:
    """A list."""

    items: list[Node] = field(default_factory=list)


Node: TypeAlias = Scalar | Mapping | Sequence


def child(node: Node, token: str) -> tuple[Node, Node] | None:
    """Return what stands below *node*, and the node that it is written in.

    Args:
        node: A mapping or a list.
        token: A key, or an index in decimal digits.

    Returns:
        The owner and the child: the owner is another mapping where a merge key brings
        the entry in. None if there is no such child.
    """
    if isinstance(node, Sequence):
        index = int(token) if token.isdecimal() else len(node.items)
        return (node, node.items[index]) if index < len(node.items) else None
    if isinstance(node, Mapping):
        for mapping in (node, *merged(node)):
            for key, value in reversed(mapping.entries):
                if isinstance(key, Scalar) and key.value == token:
                    return mapping, value
    return None


def merged(mapping: Mapping) -> Iterator[Mapping]:
    """Yield the mappings that *mapping* takes entries from, the one that wins first.

    What they in turn merge is left out after the second level, which nobody writes.
    """
    for key, value in mapping.entries:
        if not isinstance(key, Scalar) or key.value != MERGE or key.style:
            continue
        for source in value.items if isinstance(value, Sequence) else (value,):
            if isinstance(source, Mapping):
                yield source
                for inner_key, inner in source.entries:
                    if isinstance(inner_key, Scalar) and inner_key.value == MERGE:
                        yield from (inner,) if isinstance(inner, Mapping) else ()


def plain(node: Node, depth: int, known: dict[tuple[int, int], Any] | None = None) -> Any:
    """Return *node* as plain values, down to a depth; what lies deeper is None.

    Args:
        node: The node.
        depth: How many levels to go down.
        known: What is known already: aliases make a tree larger than its source.
    """
    if isinstance(node, Scalar):
        return node.value if node.is_text else None
    if depth == 0:
        return None
    known = {} if known is None else known
    place = id(node), depth
    if place not in known:
        below = depth - 1
        if isinstance(node, Sequence):
            known[place] = [plain(item, below, known) for item in node.items]
        else:
            values = known[place] = {}
            for mapping in (*reversed([*merged(node)]), node):
                for key, value in mapping.entries:
                    if isinstance(key, Scalar):
                        values[key.value] = plain(value, below, known)
    return known[place]

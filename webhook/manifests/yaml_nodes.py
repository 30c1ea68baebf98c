"""YAML documents as trees.

The tree is built from the parser's events rather than by its composer: an event costs
less, depth costs no stack, and an alias is told from what it stands for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

import yaml

from webhook.manifests.nodes import DocumentError, Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from yaml._yaml import Mark

    SomeMark: TypeAlias = yaml.Mark | Mark

__all__ = ["is_text", "yaml_trees"]

TEXT_TAG: Final = "tag:yaml.org,2002:str"
# What Kubernetes reads as something else than a text (YAML 1.2 core schema, and the
# words for true and false of YAML 1.1 that its reader still knows).
OTHER: Final = re.compile(
    r"~|null|Null|NULL|"
    r"true|True|TRUE|false|False|FALSE|y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|"
    r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0b[01_]+|[0-9][0-9_]*)|"
    r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|"
    r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|"
)
# What all of that begins with, unless it is empty: most texts are told by it.
OTHER_STARTS: Final = frozenset("~nNtTfFyYoO-+.0123456789")
ADVICE: Final = (
    "mend it, or, if it is a template, render it first (`helm template`); "
    "this document is left as it is"
)


def yaml_trees(text: str) -> list[Node]:
    """Read documents.

    Args:
        text: Their source.

    Returns:
        A tree for each that has content.

    Raises:
        DocumentError: It is not YAML.
    """
    builder = Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        # A bracket that is not closed is noticed lines below it.
        in_flow = "flow" in (error.context or "") and error.context_mark
        mark = error.context_mark if in_flow else error.problem_mark
        problem = f"it is not YAML: {error.problem or error.context}; {ADVICE}"
        raise DocumentError(problem, index(mark)) from None
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise DocumentError(f"it is not YAML: {problem}; {ADVICE}", 0) from None
    return builder.roots


class Builder:
    """Builds a tree from events.

    Attributes:
        roots: The trees so far.
    """

    def __init__(self) -> None:
        self.roots: list[Node] = []
        self._open: list[Mapping | Sequence] = []
        self._keys: list[Node | None] = []
        self._anchors: dict[str, Node] = {}

    def take(self, event: yaml.Event) -> None:
        """Take the next event.

        Raises:
            DocumentError: An alias has no anchor.
        """
        if isinstance(event, yaml.ScalarEvent):
            self._add(scalar(event), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            node = self._anchors.get(event.anchor or "")
            if node is None:
                problem = f"it is not YAML: *{event.anchor} has no anchor; {ADVICE}"
                raise DocumentError(problem, index(event.start_mark))
            self._attach(node)
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin(Mapping(), event.anchor)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin(Sequence(), event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.DocumentStartEvent):
            self._anchors.clear()

    def _begin(self, node: Mapping | Sequence, anchor: str | None) -> None:
        self._add(node, anchor)
        self._open.append(node)
        self._keys.append(None)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        self._attach(node)

    def _attach(self, node: Node) -> None:
        if isinstance(node, Scalar):
            node.uses += 1
        if not self._open:
            self.roots.append(node)
            return
        parent, key = self._open[-1], self._keys[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif key is None:
            self._keys[-1] = node
        else:
            parent.entries.append((key, node))
            self._keys[-1] = None


def index(mark: SomeMark | None) -> int:
    """Return where a mark stands, in characters."""
    return mark.index if mark else 0


def scalar(event: yaml.ScalarEvent) -> Scalar:
    """Return the node of one scalar."""
    return Scalar(
        value=event.value,
        is_text=is_text(event.value, event.tag, event.style),
        style=event.style or "",
        start=index(event.start_mark),
        end=index(event.end_mark),
    )


def is_text(value: str, tag: str | None, style: str | None) -> bool:
    """Say whether a scalar is a text, rather than a number, a boolean or null.

    Args:
        value: What it says.
        tag: Its tag, if one is written.
        style: Its style; empty or None for a plain one.
    """
    if tag:
        return tag in (TEXT_TAG, "!")
    if style or (value and value[0] not in OTHER_STARTS):
        return True
    return OTHER.fullmatch(value) is None

"""YAML documents as trees of nodes.

The trees are built from the parser's events, as the nodes of the YAML library do not
distinguish an alias from its anchor, and take stack for each level.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

import yaml

from webhook.manifests.nodes import (
    DocumentError,
    MappingNode,
    ScalarNode,
    SequenceNode,
    TreeBuilder,
)

if TYPE_CHECKING:
    from yaml._yaml import Mark

    from webhook.manifests.nodes import Node

    SomeMark: TypeAlias = yaml.Mark | Mark

__all__ = ["parse_yaml"]

TEXT_TAG: Final = "tag:yaml.org,2002:str"
# What Kubernetes does not read as a string: YAML 1.2 core schema, and the words for true
# and false of YAML 1.1 that its parser still knows.
NOT_TEXT: Final = re.compile(
    r"~|null|Null|NULL|"
    r"true|True|TRUE|false|False|FALSE|y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|"
    r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0b[01_]+|[0-9][0-9_]*)|"
    r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|"
    r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|"
)
NOTICED_LATE: Final = ("flow", "simple key", "quoted scalar")
ADVICE: Final = (
    "fix it, or, if it is a template, render it first (`helm template`); this document is unchanged"
)


def parse_yaml(text: str) -> TreeBuilder:
    """Return the trees of all documents that have content.

    Raises:
        DocumentError: The text is not YAML.
    """
    builder = TreeBuilder()
    try:
        _build_trees(text, builder)
    except yaml.MarkedYAMLError as error:
        # The parser notices some mistakes, such as an unclosed bracket, only lines below them.
        began_before = any(word in (error.context or "") for word in NOTICED_LATE)
        mark = (error.context_mark if began_before else None) or error.problem_mark
        problem = f"it is not valid YAML: {error.problem or error.context}; {ADVICE}"
        # What follows `{{ if … }}` is wrong only because of it.
        start = builder.complex_key.start if builder.complex_key else _offset(mark)
        raise DocumentError(problem, start) from None
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        position = getattr(error, "position", 0)  # of a character, in bytes
        offset = len(text.encode()[:position].decode(errors="ignore"))
        raise DocumentError(f"it is not valid YAML: {problem}; {ADVICE}", offset) from None
    return builder


def _build_trees(text: str, builder: TreeBuilder) -> None:
    anchors: dict[str, Node] = {}
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.ScalarEvent):
            scalar = _make_scalar(event)
            if event.anchor is not None:
                anchors[event.anchor] = scalar
            builder.add(scalar)
        elif isinstance(event, yaml.CollectionStartEvent):
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            start = _offset(event.start_mark)
            node = MappingNode(start=start) if is_mapping else SequenceNode(start=start)
            if event.anchor is not None:
                anchors[event.anchor] = node
            builder.open(node)
        elif isinstance(event, yaml.CollectionEndEvent):
            builder.close()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                problem = f"it is not valid YAML: *{event.anchor} has no anchor; {ADVICE}"
                raise DocumentError(problem, _offset(event.start_mark))
            builder.add(anchors[event.anchor])
        elif isinstance(event, yaml.DocumentStartEvent):
            anchors.clear()


def _make_scalar(event: yaml.ScalarEvent) -> ScalarNode:
    return ScalarNode(
        value=event.value,
        is_text=_is_text(event),
        style=event.style or "",
        start=_offset(event.start_mark),
        end=_offset(event.end_mark),
    )


def _is_text(event: yaml.ScalarEvent) -> bool:
    if event.tag:
        return event.tag in (TEXT_TAG, "!")
    return bool(event.style) or NOT_TEXT.fullmatch(event.value) is None


def _offset(mark: SomeMark | None) -> int:
    return mark.index if mark else 0

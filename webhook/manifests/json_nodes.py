"""JSON documents as trees (RFC 8259).

A YAML parser does not read all of JSON: not its surrogate pairs, and no long keys.
"""

from __future__ import annotations

import json
import re
from typing import Final

from webhook.manifests.nodes import Mapping, Node, Scalar, Sequence

__all__ = ["json_ends", "json_trees"]

TOKEN: Final = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*"|[^\s\[\]{},:"]+')
CLOSING: Final = ("]", "}")
BLANKS: Final = re.compile(r"[ \t\r\n]*")


def json_ends(text: str) -> list[int]:
    """Return where each of the JSON values ends that *text* consists of.

    There is none if it is something else, such as YAML in flow style, which begins alike.
    """
    decoder = json.JSONDecoder()
    ends: list[int] = []
    begin = blanks_end(text, 0)
    while begin < len(text):
        try:
            end = decoder.raw_decode(text, begin)[1]
        except (json.JSONDecodeError, RecursionError):
            return []
        ends.append(end)
        begin = blanks_end(text, end)
    return ends


def blanks_end(text: str, start: int) -> int:
    """Return where the blanks end that begin at *start*."""
    blanks = BLANKS.match(text, start)
    return blanks.end() if blanks else start


def json_trees(text: str) -> list[Node]:
    """Read values that `json_ends` has found to be JSON.

    Args:
        text: Their source.
    """
    roots: list[Node] = []
    parents: list[Mapping | Sequence] = []
    keys: list[Scalar | None] = []
    for match in TOKEN.finditer(text):
        token = match.group()
        if token in CLOSING:
            parents.pop()
            keys.pop()
            continue
        node = node_of(token, match.start(), match.end())
        if not parents:
            roots.append(node)
        elif isinstance(parents[-1], Sequence):
            parents[-1].items.append(node)
        else:
            key = keys[-1]
            if key is None and isinstance(node, Scalar):
                keys[-1] = node
                continue
            if key is not None:
                parents[-1].entries.append((key, node))
                keys[-1] = None
        if not isinstance(node, Scalar):
            parents.append(node)
            keys.append(None)
    return roots


def node_of(token: str, start: int, end: int) -> Node:
    """Return the node that *token* is or begins."""
    if token == "{":  # noqa: S105 - a bracket
        return Mapping()
    if token == "[":  # noqa: S105 - a bracket
        return Sequence()
    is_text = token.startswith('"')
    value = json.loads(token, strict=False) if is_text else token
    return Scalar(value, is_text, '"' if is_text else "", start, end, uses=1)

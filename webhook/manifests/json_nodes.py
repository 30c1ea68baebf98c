"""JSON documents as trees of nodes (RFC 8259).

A YAML parser does not read all of JSON: neither its surrogate pairs nor its long keys.
"""

from __future__ import annotations

import json
import re
from typing import Final

from webhook.manifests.nodes import MappingNode, ScalarNode, SequenceNode, TreeBuilder

__all__ = ["find_json_ends", "parse_json"]

TOKEN: Final = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*"|[^\s\[\]{},:"]+')
BLANKS: Final = re.compile(r"[ \t\r\n]*")


def find_json_ends(text: str) -> list[int]:
    """Return where each JSON value of a text ends.

    The list is empty if the text is not JSON, but for example YAML in flow style.
    """
    decoder = json.JSONDecoder()
    ends: list[int] = []
    begin = _skip_blanks(text, 0)
    while begin < len(text):
        try:
            end = decoder.raw_decode(text, begin)[1]
        except (json.JSONDecodeError, RecursionError):
            return []
        ends.append(end)
        begin = _skip_blanks(text, end)
    return ends


def parse_json(text: str) -> TreeBuilder:
    """Return the trees of the JSON values of a text.

    Args:
        text: A text in which `find_json_ends` has found some.
    """
    builder = TreeBuilder()
    for match in TOKEN.finditer(text):
        token = match.group()
        if token == "{":  # noqa: S105 - a bracket
            builder.open(MappingNode(start=match.start()))
        elif token == "[":  # noqa: S105 - a bracket
            builder.open(SequenceNode(start=match.start()))
        elif token in ("]", "}"):
            builder.close()
        else:
            is_text = token.startswith('"')
            value = json.loads(token, strict=False) if is_text else token
            style = '"' if is_text else ""
            builder.add(ScalarNode(value, is_text, style, match.start(), match.end()))
    return builder


def _skip_blanks(text: str, start: int) -> int:
    blanks = BLANKS.match(text, start)
    return blanks.end() if blanks else start

"""A file of manifests as the documents in it."""

from __future__ import annotations

import re
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.manifests.json_tree import json_ends, json_trees
from webhook.manifests.yaml_tree import yaml_trees

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webhook.manifests.tree import Node

__all__ = ["Document", "documents"]

NEWLINE: Final = "\n"
# These part documents wherever they begin a line, inside a block too (YAML 1.2, 9.1).
START: Final = re.compile(r"---(?=[ \t\r\n]|\Z)")
END: Final = re.compile(r"\.\.\.[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
# What stands before the marker of the document that it belongs to.
PROLOGUE: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*)?(?:\n|\Z)|%[^\n]*(?:\n|\Z))*")
JSON_START: Final = re.compile(r"\s*[{\[]")


class Document(NamedTuple):
    """One document of a file.

    Attributes:
        text: Its source.
        line: The line of the file that it begins in.
        is_json: Whether it is JSON, rather than YAML.
    """

    text: str
    line: int
    is_json: bool = False

    def trees(self) -> list[Node]:
        """Read it: nothing if it is empty, and several trees where ``...`` parts them.

        Raises:
            DocumentError: It cannot be read.
        """
        return json_trees(self.text) if self.is_json else yaml_trees(self.text)


def documents(texts: Iterable[str]) -> Iterator[Document]:
    """Yield the documents of a file; together they are the whole of its text.

    No more of the file is held than a document and a piece; but JSON, which has no
    marks to part it at, is read as a whole.

    Args:
        texts: The file in pieces.
    """
    texts = iter(texts)
    head = ""
    for text in texts:
        head += text
        if head.strip():
            break
    if JSON_START.match(head):
        head = "".join([head, *texts])
        parts = json_parts(head)
        if parts:
            yield from numbered(parts, is_json=True)
            return
    yield from numbered(yaml_parts(chain([head], texts)), is_json=False)


def numbered(parts: Iterable[str], *, is_json: bool) -> Iterator[Document]:
    """Yield documents with their lines."""
    line = 1
    for part in parts:
        yield Document(part, line, is_json)
        line += part.count(NEWLINE)


def json_parts(text: str) -> list[str]:
    """Return the sources of JSON values; none if the text is something else."""
    ends = json_ends(text)
    if not ends:
        return []
    return [text[start:end] for start, end in pairwise([0, *ends[:-1], len(text)])]


def yaml_parts(texts: Iterable[str]) -> Iterator[str]:
    """Yield the sources of YAML documents."""
    held = ""
    for lines in whole_lines(texts):
        begin = 0
        for cut in cuts(lines):
            # What only leads up to a marker is a part of its document.
            part = held + lines[begin:cut]
            if not PROLOGUE.fullmatch(part):
                yield part
                held, begin = "", cut
        held += lines[begin:]
    if held:
        yield held


def cuts(lines: str) -> list[int]:
    """Return where documents may begin."""
    found = {match.start() for match in matches(START, "---", lines)}
    found |= {match.end() for match in matches(END, "...", lines)}
    return sorted(found)


def matches(marker: re.Pattern[str], sign: str, lines: str) -> Iterator[re.Match[str]]:
    """Yield where a marker stands, which begins a line with *sign*.

    Looking for a text is many times faster than for an expression.
    """
    if lines.startswith(sign) and (match := marker.match(lines)):
        yield match
    sign = NEWLINE + sign
    at = lines.find(sign)
    while at >= 0:
        if match := marker.match(lines, at + 1):
            yield match
        at = lines.find(sign, at + 1)


def whole_lines(texts: Iterable[str]) -> Iterator[str]:
    """Yield the same text in pieces that end with a line, but for the last."""
    rest: list[str] = []
    for text in texts:
        end = text.rfind(NEWLINE) + 1
        if end:
            yield "".join([*rest, text[:end]])
            rest = []
        rest.append(text[end:])
    yield "".join(rest)

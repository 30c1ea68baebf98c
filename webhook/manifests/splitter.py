"""A file of manifests as the documents in it."""

from __future__ import annotations

import codecs
import re
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.manifests.json_nodes import json_ends, json_trees
from webhook.manifests.nodes import DocumentError
from webhook.manifests.yaml_nodes import yaml_trees

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webhook.manifests.nodes import Node

__all__ = ["Document", "decoded", "documents"]

NEWLINE: Final = "\n"
# These part documents wherever they begin a line, inside a block too (YAML 1.2, 9.1).
START: Final = re.compile(r"---(?=[ \t\r\n]|\Z)")
END: Final = re.compile(r"\.\.\.[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
# What stands before the marker of the document that it belongs to.
PROLOGUE: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*)?(?:\n|\Z)|%[^\n]*(?:\n|\Z))*")
JSON_START: Final = re.compile(r"\s*[{\[]")
# A byte order mark, and the encoding that it tells of (YAML 1.2, 5.2).
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LONGEST_MARK: Final = max(len(mark) for mark, _ in MARKS)


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


def decoded(blocks: Iterable[bytes]) -> tuple[bytes, str, Iterator[str]]:
    """Return the byte order mark of a file, its encoding, and its text in pieces.

    The pieces raise `DocumentError` where the file is not in that encoding.

    Args:
        blocks: The file.
    """
    blocks = iter(blocks)
    head = b""
    for block in blocks:
        head += block
        if len(head) >= LONGEST_MARK:
            break
    mark, encoding = next(
        ((mark, name) for mark, name in MARKS if head.startswith(mark)), (b"", "utf-8")
    )
    rest = chain([head[len(mark) :]], blocks)
    return mark, encoding, texts(rest, encoding, len(mark))


def texts(blocks: Iterable[bytes], encoding: str, taken: int) -> Iterator[str]:
    """Yield the text of each block; a character in two of them goes to the latter.

    Args:
        blocks: The file behind its byte order mark.
        encoding: What it is written in.
        taken: How many bytes stand before them.

    Raises:
        DocumentError: It is not in the encoding that YAML and JSON have.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    for block, is_last in chain(((block, False) for block in blocks), [(b"", True)]):
        begin = taken - len(decoder.getstate()[0])
        try:
            yield decoder.decode(block, is_last)
        except UnicodeDecodeError as error:
            problem = (
                f"byte {begin + error.start} is not {encoding.upper()}: save the file in UTF-8"
            )
            raise DocumentError(problem, 0) from None
        taken += len(block)

"""
A file of manifests: its encoding, and the documents in it.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from webhook.documents.json_tree import json_ends, json_trees
from webhook.documents.tree import DocumentError
from webhook.documents.yaml_tree import yaml_trees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.documents.tree import Node

__all__ = ["Document", "decoded", "documents"]

# A byte order mark, and the encoding that it tells of (YAML 1.2, 5.2).
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# These part documents wherever they begin a line, inside a block too (YAML 1.2, 9.1).
START: Final = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
END: Final = re.compile(r"^\.\.\.[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)", re.MULTILINE)
# What stands before the marker of the document that it belongs to.
PROLOGUE: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*)?(?:\n|\Z)|%[^\n]*(?:\n|\Z))*")
JSON_START: Final = re.compile(r"\s*[{\[]")


@dataclass(frozen=True, slots=True)
class Document:
    """
    One document of a file.

    Attributes:
        text: Its source.
        start: Where it begins in the file, in characters.
        is_json: Whether it is JSON, rather than YAML.
    """

    text: str
    start: int
    is_json: bool = False

    def trees(self) -> list[Node]:
        """
        Read it: nothing if it is empty, and several trees where ``...`` parts them.

        Raises:
            DocumentError: It cannot be read.
        """
        return json_trees(self.text) if self.is_json else yaml_trees(self.text)


def decoded(content: bytes) -> tuple[bytes, str, str]:
    """
    Return the byte order mark of a file, its encoding, and its text.

    Raises:
        DocumentError: It is not in the encoding that YAML and JSON have.
    """
    mark, encoding = next(
        ((mark, name) for mark, name in MARKS if content.startswith(mark)), (b"", "utf-8")
    )
    try:
        return mark, encoding, content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        problem = (
            f"byte {len(mark) + error.start} is not {encoding.upper()}: "
            "save the file in UTF-8"
        )
        raise DocumentError(problem, 0) from None


def documents(text: str) -> Iterator[Document]:
    """
    Yield the documents of a file; together they are the whole of its text.
    """
    ends = json_ends(text) if JSON_START.match(text) else []
    if ends:
        for start, end in pairwise([0, *ends[:-1], len(text)]):
            yield Document(text[start:end], start, is_json=True)
        return
    parts = {match.start() for match in START.finditer(text)}
    parts |= {match.end() for match in END.finditer(text)}
    begin = 0
    for start in sorted(parts | {len(text)}):
        # What only leads up to a marker is a part of its document.
        whole = PROLOGUE.fullmatch(text, begin, start) is None
        if start > begin and (whole or start == len(text)):
            yield Document(text[begin:start], begin)
            begin = start

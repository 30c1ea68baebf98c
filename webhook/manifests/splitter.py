"""A file of manifests, read block by block and split into its documents."""

from __future__ import annotations

import codecs
import re
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.manifests.json_nodes import find_json_ends, parse_json
from webhook.manifests.nodes import DocumentError
from webhook.manifests.yaml_nodes import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webhook.manifests.nodes import Node

__all__ = ["Document", "decode_blocks", "split_documents"]

# Byte order marks and their encodings (YAML 1.2, 5.2).
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LONGEST_MARK: Final = max(len(mark) for mark, _ in MARKS)
# Both separate documents at the beginning of any line, also inside a block (YAML 1.2, 9.1).
SEPARATOR: Final = re.compile(
    r"^(?:---(?=[ \t\r\n]|\Z)|\.\.\.[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z))", re.MULTILINE
)
# What precedes the marker of the document that it belongs to.
PROLOGUE: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*)?(?:\n|\Z)|%[^\n]*(?:\n|\Z))*")
JSON_START: Final = re.compile(r"\s*[{\[]")


class Document(NamedTuple):
    """One document of a file.

    Attributes:
        text: Its source.
        line: The line of the file in which it begins, counted from 1.
        is_json: Whether it is JSON, rather than YAML.
    """

    text: str
    line: int
    is_json: bool

    def parse(self) -> list[Node]:
        """Return its trees: none if it is empty, and several if ``...`` separates them.

        Raises:
            DocumentError: It is neither JSON nor YAML.
        """
        return parse_json(self.text) if self.is_json else parse_yaml(self.text)


def decode_blocks(blocks: Iterable[bytes]) -> tuple[bytes, str, Iterator[str]]:
    """Return the byte order mark of a file, its encoding, and its text in pieces.

    The iterator raises `DocumentError` where the file is not in that encoding.
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
    return mark, encoding, _decode(rest, encoding, len(mark))


def split_documents(texts: Iterable[str]) -> Iterator[Document]:
    """Yield the documents of a file; together they have all of its text.

    Only one document and one piece are in memory at a time; but JSON, which has no
    separators, is read as a whole.

    Args:
        texts: The text of the file in pieces.
    """
    texts = iter(texts)
    head = ""
    for text in texts:
        head += text
        if head.strip():
            break
    sources: Iterable[str] = ()
    is_json = False
    if JSON_START.match(head):
        head = "".join([head, *texts])
        sources = _split_json(head)
        is_json = bool(sources)
    line = 1
    for source in sources or _split_yaml(chain([head], texts)):
        yield Document(source, line, is_json)
        line += source.count("\n")


def _decode(blocks: Iterable[bytes], encoding: str, offset: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    for block, is_last in chain(((block, False) for block in blocks), [(b"", True)]):
        # A character that begins in the block before is a part of this one.
        begin = offset - len(decoder.getstate()[0])
        try:
            yield decoder.decode(block, is_last)
        except UnicodeDecodeError as error:
            problem = (
                f"byte {begin + error.start} is not {encoding.upper()}: save the file in UTF-8"
            )
            raise DocumentError(problem, 0) from None
        offset += len(block)


def _split_json(text: str) -> list[str]:
    """Return the sources of JSON values; none if the text is not JSON."""
    ends = find_json_ends(text)
    if not ends:
        return []
    return [text[start:end] for start, end in pairwise([0, *ends[:-1], len(text)])]


def _split_yaml(texts: Iterable[str]) -> Iterator[str]:
    held = ""
    for lines in _iterate_whole_lines(texts):
        begin = 0
        for separator in SEPARATOR.finditer(lines):
            # "---" begins a document, and "..." ends one.
            cut = separator.start() if separator[0] == "---" else separator.end()
            source = held + lines[begin:cut]
            if not PROLOGUE.fullmatch(source):
                yield source
                held, begin = "", cut
        held += lines[begin:]
    if held:
        yield held


def _iterate_whole_lines(texts: Iterable[str]) -> Iterator[str]:
    """Yield the same text in pieces that end with a line, except for the last."""
    rest: list[str] = []
    for text in texts:
        end = text.rfind("\n") + 1
        if end:
            yield "".join([*rest, text[:end]])
            rest = []
        rest.append(text[end:])
    yield "".join(rest)

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

    from webhook.manifests.nodes import TreeBuilder

__all__ = ["Document", "FileDecoder", "split_documents"]

# Byte order marks, their encodings (YAML 1.2, 5.2), and how errors are kept in the text.
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8", "surrogateescape"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "surrogatepass"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "surrogatepass"),
)
NO_MARK: Final = (b"", "utf-8", "surrogateescape")
LONGEST_MARK: Final = max(len(known[0]) for known in MARKS)
# Lone surrogates: what `FileDecoder` makes of bytes that are not in the encoding. The parsers
# refuse them, and get another character in their place.
UNDECODED: Final = re.compile(r"[\ud800-\udfff]")
REPLACEMENT: Final = "\ufffd"
FIRST_ESCAPE: Final = 0xDC00
BYTES: Final = 256
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

    def parse(self) -> TreeBuilder:
        """Return its trees: none if it is empty, and several if ``...`` separates them.

        Raises:
            DocumentError: It is neither JSON nor YAML.
        """
        text = UNDECODED.sub(REPLACEMENT, self.text)
        return parse_json(text) if self.is_json else parse_yaml(text)

    def find_undecoded(self) -> DocumentError | None:
        """Return where the document has bytes that are no text, if it has any."""
        found = UNDECODED.search(self.text)
        if found is None:
            return None
        code = ord(found[0]) - FIRST_ESCAPE
        name = f"byte {code:#04x} is not UTF-8" if 0 <= code < BYTES else "this is not UTF-16"
        return DocumentError(f"{name}: save the file in UTF-8", found.start())


class FileDecoder:
    """Decodes a file, so that encoding it again gives the same bytes, whatever they are.

    What is not in the encoding becomes a lone surrogate.

    Args:
        blocks: The file.

    Attributes:
        mark: Its byte order mark.
        rest: After `texts`, a last byte that is half a character of UTF-16.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        head = b""
        for block in self._blocks:
            head += block
            if len(head) >= LONGEST_MARK:
                break
        self.mark, self._encoding, self._errors = next(
            (known for known in MARKS if head.startswith(known[0])), NO_MARK
        )
        self._head = head[len(self.mark) :]
        self.rest = b""

    def texts(self) -> Iterator[str]:
        """Yield the text of the file in pieces."""
        decoder = codecs.getincrementaldecoder(self._encoding)(self._errors)
        size = 1 if self._encoding == "utf-8" else 2
        for block in chain([self._head], self._blocks):
            content = self.rest + block
            whole = len(content) // size * size
            self.rest = content[whole:]
            yield decoder.decode(content[:whole])
        yield decoder.decode(b"", final=True)

    def encode(self, text: str) -> bytes:
        """Return the bytes that a text was decoded from, or those of another text."""
        return text.encode(self._encoding, self._errors)


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

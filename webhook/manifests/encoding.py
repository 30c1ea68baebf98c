"""The bytes of a file as text, block by block."""

from __future__ import annotations

import codecs
from itertools import chain
from typing import TYPE_CHECKING, Final

from webhook.manifests.tree import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["decoded"]

# A byte order mark, and the encoding that it tells of (YAML 1.2, 5.2).
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LONGEST_MARK: Final = max(len(mark) for mark, _ in MARKS)


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

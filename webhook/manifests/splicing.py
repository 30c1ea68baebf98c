"""Writing an image into the source of a document, in the style that stands there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from webhook.manifests.tree import Scalar

__all__ = ["spliced"]

# An anchor and a tag, in either order, each with the blanks behind it.
PROPERTIES: Final = re.compile(r"(?:[&!][^\s,\[\]{}]*(?:[ \t]*(?:#[^\n]*)?\r?\n|[ \t])\s*)*")
PROPERTY_SIGNS: Final = frozenset("&!")
# The first line of a block: its indicator, and what else may stand there.
BLOCK_HEAD: Final = re.compile(r"[|>][-+0-9]*[ \t]*(?:#[^\n]*)?\r?\n")
# What is the same text in every context of YAML without quotes.
PLAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/@-]|:(?=[A-Za-z0-9._/@-]))*")
BLOCKS: Final = frozenset("|>")


def spliced(text: str, node: Scalar, image: str) -> tuple[int, int, str]:
    """Return the span to replace, and what to put there.

    Args:
        text: The document.
        node: The text that is to become *image*.
        image: A valid reference: it has neither quotes nor blanks.
    """
    start = node.start
    if text[start] in PROPERTY_SIGNS and (properties := PROPERTIES.match(text, start, node.end)):
        start = properties.end()
    if node.style in BLOCKS:
        head = BLOCK_HEAD.match(text, start, node.end)
        begin = text.index(node.value, head.end() if head else start)
        return begin, begin + len(node.value), image
    quote = node.style or ("" if PLAIN.fullmatch(image) else '"')
    return start, node.end, f"{quote}{image}{quote}"

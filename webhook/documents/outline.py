"""
The quickest way to the images of a YAML document, for the plainest that there are.

Where each line is a key or an entry, with a value that ends in it, indents tell all of
the structure. The YAML library then only has to say that the document is right, which
costs a fraction of what its nodes do.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import yaml

from webhook.documents.composing import Composer, UnusualError
from webhook.documents.finding import Found
from webhook.documents.places import GROUPS, LIST
from webhook.documents.tree import Scalar
from webhook.documents.yaml_tree import is_text
from webhook.objects import (
    CONTAINER_FIELDS,
    MIRROR_POD,
    OPT_OUT,
    POD_SPEC_PATHS,
    VOLUMES,
    ImageSlot,
    rewrite,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhook.core import Decision

__all__ = ["outlined_images"]

QUOTED: Final = r""""[^"\\\n]*+"|'[^'\n]*+'"""
SAFE: Final = "A-Za-z0-9/_."
PLAIN: Final = rf"[{SAFE}](?:[{SAFE}@%+=,;()~$-]|:(?=[{SAFE}])| (?=[{SAFE}(]))*+"
IN_FLOW: Final = rf"(?:[{SAFE} ,:-]|{QUOTED})*+"
FLOW: Final = rf"\[{IN_FLOW}\]|\{{{IN_FLOW}\}}"
REMARK: Final = r"(?: ++#[^\n]*+)?+ *+\n"
KEY: Final = r"[A-Za-z_][A-Za-z0-9_./-]*+:"
# A plain value goes on in a deeper line, if that only looks like an entry.
GOES_ON: Final = r"(?: *\n)*\1 ++-(?:[ \n])"
LINES: Final = re.compile(
    r"(?: *+(?:#[^\n]*+)?\n)*+(?:---\n)?+"
    r"(?:"
    r" *+(?:#[^\n]*+)?\n|"
    rf"( *+)(?:(?:- ++)?+{KEY}(?: ++(?:{QUOTED}|{FLOW}))?+{REMARK}|"
    rf"- ++(?:{QUOTED}|{FLOW}){REMARK}|"
    rf"(?:(?:- ++)?+{KEY} ++|- ++){PLAIN}{REMARK}(?!{GOES_ON}))"
    r")*+"
)
VALUE: Final = re.compile(
    rf" *(?:(?P<plain>{PLAIN})|(?P<quoted>{QUOTED})|(?P<flow>[\[{{]))?"
)
FLOW_STARTS: Final = frozenset("[{")
FIRST: Final = re.compile(r"\n( *)([^ \n#])")


class Block(NamedTuple):
    """
    Lines that stand for a mapping or a list.

    Attributes:
        start: Where they begin, at the end of the line before.
        end: Where they end.
        indent: How far they are indented.
        is_list: Whether they are a list.
    """

    start: int
    end: int
    indent: int
    is_list: bool = False


def outlined_images(text: str, decide: Callable[[str], Decision]) -> list[Found]:
    """
    Return the images of a document, each with its decision.

    Args:
        text: The document.
        decide: Decides on one image.

    Raises:
        UnusualError: It takes more to say.
    """
    if not text.isascii() or "\r" in text or LINES.fullmatch(text) is None:
        raise UnusualError
    if OPT_OUT in text or MIRROR_POD in text:
        raise UnusualError
    try:
        Composer(text).raw_parse()
    except yaml.YAMLError:
        raise UnusualError from None
    spec = pod_spec(text)
    if spec is None:
        return []
    images = [*images_in(text, spec)]
    decided = rewrite([slot for _, slot in images], decide)
    return [
        Found(node, node, slot.name, decision)
        for (node, _), (slot, decision) in zip(images, decided, strict=True)
    ]


def pod_spec(text: str) -> Block | None:
    """
    Return the lines of the Pod's spec; None if there is none.
    """
    # A line before the first, so that each begins behind an end.
    block = Block(-1, len(text), 0)
    if text.startswith("---"):
        block = Block(3, len(text), 0)
    first = FIRST.search("\n" + text.removeprefix("---\n"))
    if first is None or first[1] or first[2] in "-[{":
        raise UnusualError
    kind = word(text, block, "kind")
    if kind.endswith(LIST):
        raise UnusualError
    path = POD_SPEC_PATHS.get(kind)
    if path is None or word(text, block, "apiVersion").rpartition("/")[0] not in GROUPS:
        return None
    for step in path:
        below = field(text, block, step)
        if below is None:
            return None
        inner = body(text, below, block.indent)
        if inner is None or inner.is_list:
            raise UnusualError
        block = inner
    return block


def images_in(text: str, spec: Block) -> Iterator[tuple[Scalar, ImageSlot]]:
    """
    Yield each image of a Pod with its slot, in the order of `image_slots`.
    """
    for name in CONTAINER_FIELDS:
        for item in items(text, field(text, spec, name), spec.indent):
            image = scalar(text, field(text, item, "image"))
            if image is not None and image.is_text and image.value:
                named = scalar(text, field(text, item, "name"))
                policy = scalar(text, field(text, item, "imagePullPolicy"))
                called = named.value if named and named.is_text else ""
                pull = policy.value if policy and policy.is_text else None
                yield image, ImageSlot("", image.value, name, called, pull)
    for item in items(text, field(text, spec, VOLUMES), spec.indent):
        if field(text, item, "image") is not None:
            raise UnusualError


def field(text: str, block: Block, key: str) -> int | None:
    """
    Return where the value of a key begins; None if there is no such key.
    """
    found = None
    sign = f"{key}:"
    if block.is_list and text.startswith(sign, block.start):
        found = block.start + len(sign)
    line = f"\n{' ' * block.indent}{sign}"
    at = text.find(line, max(block.start, 0), block.end)
    if block.start < 0 and text.startswith(sign):
        found = len(sign)
    if at >= 0:
        if found is not None or text.find(line, at + 1, block.end) >= 0:
            raise UnusualError
        found = at + len(line)
    return found


def body(text: str, at: int, indent: int) -> Block | None:
    """
    Return the lines below a key; None if there are none.

    Args:
        text: The document.
        at: Where the value of the key begins.
        indent: How far the key is indented.
    """
    value = VALUE.match(text, at)
    if value is None or value.lastgroup is not None:
        raise UnusualError
    start = text.index("\n", at)
    first = FIRST.search(text, start)
    if first is None:
        return None
    inner, is_list = len(first[1]), first[2] == "-"
    if inner < indent or (inner == indent and not is_list):
        return None
    end = ending(indent, is_list and inner == indent).search(text, start)
    return Block(start, end.start() if end else len(text), inner, is_list)


@cache
def ending(indent: int, has_dashes: bool) -> re.Pattern[str]:
    """
    Return what the line begins with that ends the lines below a key.

    Args:
        indent: How far the key is indented.
        has_dashes: Whether entries of its list are indented as far.
    """
    if not has_dashes:
        return re.compile(rf"\n {{0,{indent}}}[^ \n#]")
    less = rf"\n {{0,{indent - 1}}}[^ \n#]|" if indent else ""
    return re.compile(rf"{less}\n {{{indent}}}[^ \n#-]")


def items(text: str, at: int | None, indent: int) -> Iterator[Block]:
    """
    Yield the entries of a list below a key, as mappings.
    """
    block = None if at is None else body(text, at, indent)
    if block is None or not block.is_list:
        return
    sign = f"\n{' ' * block.indent}- "
    begin = text.find(sign, block.start, block.end)
    while begin >= 0:
        following = text.find(sign, begin + 1, block.end)
        start = begin + len(sign)
        while text[start] == " ":
            start += 1
        if text[start] in FLOW_STARTS:
            raise UnusualError
        end = following if following >= 0 else block.end
        yield Block(start, end, start - begin - 1, is_list=True)
        begin = following


def scalar(text: str, at: int | None) -> Scalar | None:
    """
    Return the value of a key; None if it is no scalar.
    """
    value = None if at is None else VALUE.match(text, at)
    if value is None:
        return None
    if (plain := value["plain"]) is not None:
        start, end = value.span("plain")
        return Scalar(plain, is_text(plain, None, None), "", start, end, 1)
    if (quoted := value["quoted"]) is not None:
        start, end = value.span("quoted")
        return Scalar(quoted[1:-1], True, quoted[0], start, end, 1)
    return None


def word(text: str, block: Block, key: str) -> str:
    """
    Return what a key says, of whatever type; empty if there is none.
    """
    at = field(text, block, key)
    if at is None:
        return ""
    value = scalar(text, at)
    if value is None:
        raise UnusualError
    return value.value

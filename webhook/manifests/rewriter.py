"""Rewriting the images of a file of manifests; every other byte of it stays."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.manifests.image_paths import places
from webhook.manifests.nodes import DocumentError, Scalar, child, plain
from webhook.manifests.splitter import decoded, documents
from webhook.objects import ImageSlot, exempt, image_slots, pod_from, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from webhook.core import Decision
    from webhook.manifests.image_paths import ImagePath, Place
    from webhook.manifests.nodes import Node
    from webhook.manifests.splitter import Document
    from webhook.objects import Placement

__all__ = [
    "Found",
    "Image",
    "Problem",
    "Rewritten",
    "images_of",
    "rewrite_manifests",
    "rewritten_parts",
    "spliced",
    "unreadable",
]

KEY: Final = "image"
ESCAPE: Final = "\\"
NEWLINE: Final = "\n"
# From a Pod's template to `reference` in spec.volumes[].image, and a level for its value.
POD_DEPTH: Final = 6
# An anchor and a tag, in either order, each with the blanks behind it.
PROPERTIES: Final = re.compile(r"(?:[&!][^\s,\[\]{}]*(?:[ \t]*(?:#[^\n]*)?\r?\n|[ \t])\s*)*")
PROPERTY_SIGNS: Final = frozenset("&!")
# The first line of a block: its indicator, and what else may stand there.
BLOCK_HEAD: Final = re.compile(r"[|>][-+0-9]*[ \t]*(?:#[^\n]*)?\r?\n")
# What is the same text in every context of YAML without quotes.
PLAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/@-]|:(?=[A-Za-z0-9._/@-]))*")
BLOCKS: Final = frozenset("|>")


def rewrite_manifests(
    content: bytes, decide: Callable[[str], Decision], paths: Iterable[ImagePath] = ()
) -> Rewritten:
    """Rewrite every image of a file.

    Args:
        content: The file: YAML or JSON, of one document or several.
        decide: Decides on one image.
        paths: Where custom kinds have images.
    """
    problem = unreadable([content])
    if problem:
        return Rewritten(content, problems=(problem,))
    parts = [*rewritten_parts([content], decide, paths)]
    return Rewritten(
        b"".join(part.content for part in parts),
        tuple(image for part in parts for image in part.images),
        tuple(problem for part in parts for problem in part.problems),
    )


def unreadable(blocks: Iterable[bytes]) -> Problem | None:
    """Return what keeps a file from being read as text, if anything does.

    Args:
        blocks: The file.
    """
    try:
        for _ in decoded(blocks)[-1]:
            pass
    except DocumentError as error:
        return Problem(1, error.problem)
    return None


def rewritten_parts(
    blocks: Iterable[bytes],
    decide: Callable[[str], Decision],
    paths: Iterable[ImagePath] = (),
) -> Iterator[Rewritten]:
    """Rewrite a file in parts, of which each is told as soon as it is read.

    Args:
        blocks: The file, in which `unreadable` finds nothing.
        decide: Decides on one image.
        paths: Where custom kinds have images.
    """
    mark, encoding, texts = decoded(blocks)
    if mark:
        yield Rewritten(mark)
    paths = tuple(paths)
    for document in documents(texts):
        text = document.text
        # Escapes can spell the key in other ways, and nothing else can.
        if KEY not in text and ESCAPE not in text and not paths:
            yield Rewritten(text.encode(encoding))
        else:
            yield rewritten(document, encoding, decide, paths)


def rewritten(
    document: Document,
    encoding: str,
    decide: Callable[[str], Decision],
    paths: tuple[ImagePath, ...],
) -> Rewritten:
    """Rewrite one document."""
    try:
        found = [each for tree in document.trees() for each in images_of(tree, decide, paths)]
    except DocumentError as error:
        line = document.line + document.text.count(NEWLINE, 0, error.offset)
        problem = Problem(line, error.problem)
        return Rewritten(document.text.encode(encoding), problems=(problem,))
    if not found:
        return Rewritten(document.text.encode(encoding))
    text, shared = replaced(document.text, found)
    images = [
        Image(line, each.name, each.decision, id(each.node) in shared)
        for each, line in zip(found, lines_of(document, found), strict=True)
    ]
    return Rewritten(text.encode(encoding), tuple(images))


def lines_of(document: Document, found: list[Found]) -> Iterator[int]:
    """Yield the line of the file that each image is in.

    They are counted from the one before, which is near it as a rule.
    """
    line, before = document.line, 0
    for each in found:
        at = each.node.start
        if at >= before:
            line += document.text.count(NEWLINE, before, at)
        else:
            line -= document.text.count(NEWLINE, at, before)
        yield line
        before = at


def replaced(source: str, found: list[Found]) -> tuple[str, set[int]]:
    """Return a document with its images replaced, and the texts that are left alone.

    A text with an anchor is replaced where all that it stands for are images, and all
    of these become the same.
    """
    by_node: dict[int, list[Found]] = {}
    for each in found:
        by_node.setdefault(id(each.node), []).append(each)
    spans: list[tuple[int, int, str]] = []
    shared: set[int] = set()
    for node_id, uses in by_node.items():
        node, _, _, decision = uses[0]
        if node.uses == len(uses) == 1:
            if decision.image != node.value:
                spans.append(spliced(source, node, decision.image))
            continue
        images = {each.decision.image for each in uses}
        if images == {node.value}:
            continue
        if len(images) > 1 or len({id(each.owner) for each in uses}) < node.uses:
            shared.add(node_id)
        else:
            spans.append(spliced(source, node, images.pop()))
    text, begin = [], 0
    for start, end, image in sorted(spans):
        text += [source[begin:start], image]
        begin = end
    return "".join([*text, source[begin:]]), shared


class Image(NamedTuple):
    """One image of a file, and the decision on it.

    Attributes:
        line: Its line, counted from 1.
        name: The container that it belongs to; ``volume:`` and the name for a volume.
        decision: What becomes of it.
        shared: Whether it is left alone since the same text stands for something else,
            or has to become two different ones.
    """

    line: int
    name: str
    decision: Decision
    shared: bool = False

    @property
    def changes(self) -> bool:
        """Whether another image is written in its place."""
        return not self.shared and self.decision.image != self.decision.original


class Problem(NamedTuple):
    """A document that is left as it is since it cannot be read."""

    line: int
    text: str


class Rewritten(NamedTuple):
    """A file, or a stretch of it, after rewriting.

    Attributes:
        content: Its bytes.
        images: Every image that was found.
        problems: What could not be read.
    """

    content: bytes
    images: tuple[Image, ...] = ()
    problems: tuple[Problem, ...] = ()


class Found(NamedTuple):
    """An image in a tree: the text, what it is written in, and the decision on it."""

    node: Scalar
    owner: Node
    name: str
    decision: Decision


def images_of(
    tree: Node, decide: Callable[[str], Decision], paths: tuple[ImagePath, ...]
) -> Iterator[Found]:
    """Yield the images of one document, each with its decision."""
    for place in places(tree, paths):
        if isinstance(place.node, Scalar):
            yield from single_image(place, place.node, decide)
            continue
        pod = pod_from(plain(place.node, POD_DEPTH))
        if pod.spec is None or exempt(pod.metadata):
            continue
        for placement in rewrite(image_slots(pod.spec), decide):
            yield located(place.node, placement)


def single_image(place: Place, node: Scalar, decide: Callable[[str], Decision]) -> Iterator[Found]:
    """Yield the image that a path of a custom kind leads to, if it is one."""
    if node.is_text and node.value:
        slot = ImageSlot(pointer="", image=node.value, field="", name="", pull_policy=None)
        for _, decision in rewrite([slot], decide):
            yield Found(node, place.owner, slot.name, decision)


def located(root: Node, placement: Placement) -> Found:
    """Return a placement with the text that it is about."""
    owner, node = root, root
    for token in placement.slot.pointer.split("/")[1:]:
        step = child(node, token)
        assert step is not None, placement.slot.pointer  # noqa: S101 - it was read from there
        owner, node = step
    assert isinstance(node, Scalar)  # noqa: S101 - as above
    return Found(node, owner, placement.slot.name, placement.decision)


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

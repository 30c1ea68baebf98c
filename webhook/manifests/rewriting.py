"""Rewriting the images of a file of manifests; every other byte of it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.manifests.encoding import decoded
from webhook.manifests.finding import images_of
from webhook.manifests.results import Image, Problem, Rewritten
from webhook.manifests.splicing import spliced
from webhook.manifests.stream import documents
from webhook.manifests.tree import DocumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from webhook.core import Decision
    from webhook.manifests.finding import Found
    from webhook.manifests.places import ImagePath
    from webhook.manifests.stream import Document

__all__ = ["rewrite_manifests", "rewritten_parts", "unreadable"]

KEY: Final = "image"
ESCAPE: Final = "\\"
NEWLINE: Final = "\n"


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

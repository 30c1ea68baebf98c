"""Rewriting the images of a file of manifests, with every other byte kept."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.manifests.finder import ImageFinder
from webhook.manifests.nodes import DocumentError
from webhook.manifests.splitter import FileDecoder, split_documents
from webhook.objects import decide_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from webhook.core import Decision
    from webhook.manifests.finder import ObjectName
    from webhook.manifests.image_paths import ImagePath
    from webhook.manifests.nodes import Node, ScalarNode
    from webhook.manifests.splitter import Document

__all__ = [
    "ManifestImage",
    "ManifestProblem",
    "RewriteResult",
    "rewrite_manifests",
    "rewrite_stream",
]

COMPLEX_KEY: Final = (
    "a key is a mapping or a list, which Kubernetes does not allow; if this is a template, render "
    "it first (`helm template`)"
)
# An anchor and a tag, in either order, each with the blanks after it.
PROPERTIES: Final = re.compile(r"(?:[&!][^\s,\[\]{}]*(?:[ \t]*(?:#[^\n]*)?\r?\n|[ \t])\s*)*")
# The first line of a block: its indicator, and what else may be in that line.
BLOCK_HEAD: Final = re.compile(r"[|>][-+0-9]*[ \t]*(?:#[^\n]*)?\r?\n")
# What needs no quotes anywhere in YAML.
PLAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/@-]|:(?=[A-Za-z0-9._/@-]))*")
BLOCKS: Final = frozenset("|>")


class ManifestImage(NamedTuple):
    """One image of a file, and the decision on it.

    Attributes:
        line: Its line, counted from 1.
        parent: The object that it belongs to.
        name: The container that it belongs to; ``volume:`` and the name for a volume.
        decision: The decision on the image.
        shared: Whether it is unchanged because an anchor makes its text something else too,
            or because it would have to become two different images.
    """

    line: int
    parent: ObjectName
    name: str
    decision: Decision
    shared: bool

    @property
    def changes(self) -> bool:
        """Whether another image is written in its place."""
        return not self.shared and self.decision.image != self.decision.original


class ManifestProblem(NamedTuple):
    """Why a part of a document cannot be read; that part is unchanged."""

    line: int
    text: str


class RewriteResult(NamedTuple):
    """A file, or a part of one, after rewriting.

    Attributes:
        content: Its bytes.
        images: Every image that was found.
        problems: What could not be read.
        matched: The paths that lead to something.
    """

    content: bytes
    images: tuple[ManifestImage, ...] = ()
    problems: tuple[ManifestProblem, ...] = ()
    matched: frozenset[ImagePath] = frozenset()


class _DecidedImage(NamedTuple):
    """A scalar that is an image, what it is written in, and the decision on it."""

    node: ScalarNode
    owner: Node
    parent: ObjectName
    name: str
    decision: Decision


def rewrite_manifests(
    content: bytes, decide: Callable[[str], Decision], paths: Iterable[ImagePath] = ()
) -> RewriteResult:
    """Rewrite every image of a file.

    Args:
        content: The file: YAML or JSON, with one document or several.
        decide: Decides on one image.
        paths: Where custom kinds have images, in addition to those that are built in.
    """
    parts = [*rewrite_stream([content], decide, paths)]
    return RewriteResult(
        b"".join(part.content for part in parts),
        tuple(image for part in parts for image in part.images),
        tuple(problem for part in parts for problem in part.problems),
        frozenset().union(*(part.matched for part in parts)),
    )


def rewrite_stream(
    blocks: Iterable[bytes],
    decide: Callable[[str], Decision],
    paths: Iterable[ImagePath] = (),
) -> Iterator[RewriteResult]:
    """Rewrite a file document by document; each result is yielded as soon as it is read.

    Args:
        blocks: The file.
        decide: Decides on one image.
        paths: Where custom kinds have images, in addition to those that are built in.
    """
    file = FileDecoder(blocks)
    if file.mark:
        yield RewriteResult(file.mark)
    paths = tuple(paths)
    line = 1
    for document in split_documents(file.texts()):
        yield _rewrite_document(document, file, decide, paths)
        line = document.line + document.text.count("\n")
    if file.rest:
        problem = ManifestProblem(line, "the last byte is not UTF-16: save the file in UTF-8")
        yield RewriteResult(file.rest, problems=(problem,))


def _rewrite_document(
    document: Document,
    file: FileDecoder,
    decide: Callable[[str], Decision],
    paths: tuple[ImagePath, ...],
) -> RewriteResult:
    finder = ImageFinder(paths)
    found: list[_DecidedImage] = []
    errors = [document.find_undecoded()]
    try:
        parsed = document.parse()
    except DocumentError as error:
        errors.append(error)
    else:
        if parsed.complex_key is not None:
            errors.append(DocumentError(COMPLEX_KEY, parsed.complex_key.start))
        images = [image for tree in parsed.roots for image in finder.find(tree)]
        decisions = decide_images([image.field for image in images], decide)
        found = [
            _DecidedImage(image.node, image.owner, image.parent, field.name, decision)
            for image, (field, decision) in zip(images, decisions, strict=True)
        ]
    text, shared = _replace_images(document.text, found)
    errors += finder.problems
    mistakes = [each for each in errors if each is not None]
    breaks = (
        [match.start() for match in re.finditer("\n", document.text)] if found or mistakes else []
    )

    def get_line(offset: int) -> int:
        return document.line + bisect_left(breaks, offset)

    # One mistake may be found in several ways: the first of each line is enough.
    problems: dict[int, str] = {}
    for each in mistakes:
        problems.setdefault(get_line(each.offset), each.problem)
    return RewriteResult(
        file.encode(text),
        tuple(
            ManifestImage(
                get_line(each.node.start),
                each.parent,
                each.name,
                each.decision,
                id(each.node) in shared,
            )
            for each in found
        ),
        tuple(ManifestProblem(line, problems[line]) for line in sorted(problems)),
        frozenset(finder.matched),
    )


def _replace_images(source: str, found: list[_DecidedImage]) -> tuple[str, set[int]]:
    """Return a document with its images replaced, and the ids of the nodes that are not.

    A scalar with an anchor is replaced if all of its uses are images, and all of these
    become the same.
    """
    by_node: dict[int, list[_DecidedImage]] = {}
    for each in found:
        by_node.setdefault(id(each.node), []).append(each)
    spans: list[tuple[int, int, str]] = []
    shared: set[int] = set()
    for node_id, uses in by_node.items():
        node = uses[0].node
        images = {each.decision.image for each in uses}
        if images == {node.value}:
            continue
        if len(images) > 1 or len({id(each.owner) for each in uses}) < node.uses:
            shared.add(node_id)
        else:
            spans.append(_replace_scalar(source, node, images.pop()))
    parts, begin = [], 0
    for start, end, image in sorted(spans):
        parts += [source[begin:start], image]
        begin = end
    return "".join([*parts, source[begin:]]), shared


def _replace_scalar(source: str, node: ScalarNode, image: str) -> tuple[int, int, str]:
    """Return the span to replace, and its replacement in the style of the scalar.

    Args:
        source: The document.
        node: The scalar that is to become *image*.
        image: A valid reference: it has neither quotes nor blanks.
    """
    properties = PROPERTIES.match(source, node.start, node.end)
    start = properties.end() if properties else node.start
    if node.style in BLOCKS:
        head = BLOCK_HEAD.match(source, start, node.end)
        begin = source.index(node.value, head.end() if head else start)
        return begin, begin + len(node.value), image
    quote = node.style or ("" if PLAIN.fullmatch(image) else '"')
    return start, node.end, f"{quote}{image}{quote}"

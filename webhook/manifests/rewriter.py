"""Rewriting the images of a file of manifests, with every other byte kept."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.manifests.image_paths import find_pods
from webhook.manifests.nodes import DocumentError, ScalarNode, get_child, to_plain_values
from webhook.manifests.splitter import decode_blocks, split_documents
from webhook.objects import decide_images, find_images, opt_out_reason, read_pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from webhook.core import Decision
    from webhook.manifests.image_paths import ImagePath
    from webhook.manifests.nodes import Node
    from webhook.manifests.splitter import Document
    from webhook.objects import ImageDecision

__all__ = [
    "ManifestImage",
    "ManifestProblem",
    "RewriteResult",
    "find_encoding_problem",
    "rewrite_manifests",
    "rewrite_stream",
]

KEY: Final = "image"
ESCAPE: Final = "\\"
# From a Pod's template to `reference` in spec.volumes[].image, and a level for its value.
POD_DEPTH: Final = 6
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
        name: The container that it belongs to; ``volume:`` and the name for a volume.
        decision: The decision on the image.
        shared: Whether it is unchanged because an anchor makes its text something else too,
            or because it would have to become two different images.
    """

    line: int
    name: str
    decision: Decision
    shared: bool

    @property
    def changes(self) -> bool:
        """Whether another image is written in its place."""
        return not self.shared and self.decision.image != self.decision.original


class ManifestProblem(NamedTuple):
    """Why a document cannot be read; it is unchanged."""

    line: int
    text: str


class RewriteResult(NamedTuple):
    """A file, or a part of one, after rewriting.

    Attributes:
        content: Its bytes.
        images: Every image that was found.
        problems: What could not be read.
    """

    content: bytes
    images: tuple[ManifestImage, ...] = ()
    problems: tuple[ManifestProblem, ...] = ()


class _FoundImage(NamedTuple):
    """A scalar that is an image, what it is written in, and the decision on it."""

    node: ScalarNode
    owner: Node
    name: str
    decision: Decision


def rewrite_manifests(
    content: bytes, decide: Callable[[str], Decision], paths: Iterable[ImagePath] = ()
) -> RewriteResult:
    """Rewrite every image of a file.

    Args:
        content: The file: YAML or JSON, with one document or several.
        decide: Decides on one image.
        paths: Where custom kinds have images.
    """
    problem = find_encoding_problem([content])
    if problem:
        return RewriteResult(content, problems=(problem,))
    parts = [*rewrite_stream([content], decide, paths)]
    return RewriteResult(
        b"".join(part.content for part in parts),
        tuple(image for part in parts for image in part.images),
        tuple(problem for part in parts for problem in part.problems),
    )


def find_encoding_problem(blocks: Iterable[bytes]) -> ManifestProblem | None:
    """Return why a file cannot be read as text, or None if it can."""
    try:
        for _ in decode_blocks(blocks)[-1]:
            pass
    except DocumentError as error:
        return ManifestProblem(1, error.problem)
    return None


def rewrite_stream(
    blocks: Iterable[bytes],
    decide: Callable[[str], Decision],
    paths: Iterable[ImagePath] = (),
) -> Iterator[RewriteResult]:
    """Rewrite a file document by document; each result is yielded as soon as it is read.

    Args:
        blocks: The file, in which `find_encoding_problem` finds nothing.
        decide: Decides on one image.
        paths: Where custom kinds have images.
    """
    mark, encoding, texts = decode_blocks(blocks)
    if mark:
        yield RewriteResult(mark)
    paths = tuple(paths)
    for document in split_documents(texts):
        text = document.text
        # Only escapes can spell the key in another way.
        if KEY not in text and ESCAPE not in text and not paths:
            yield RewriteResult(text.encode(encoding))
        else:
            yield _rewrite_document(document, encoding, decide, paths)


def _rewrite_document(
    document: Document,
    encoding: str,
    decide: Callable[[str], Decision],
    paths: tuple[ImagePath, ...],
) -> RewriteResult:
    try:
        found = [each for tree in document.parse() for each in _find_images(tree, decide, paths)]
    except DocumentError as error:
        line = document.line + document.text.count("\n", 0, error.offset)
        problem = ManifestProblem(line, error.problem)
        return RewriteResult(document.text.encode(encoding), problems=(problem,))
    text, shared = _replace_images(document.text, found)
    breaks = [match.start() for match in re.finditer("\n", document.text)] if found else []
    images = tuple(
        ManifestImage(
            line=document.line + bisect_left(breaks, each.node.start),
            name=each.name,
            decision=each.decision,
            shared=id(each.node) in shared,
        )
        for each in found
    )
    return RewriteResult(text.encode(encoding), images)


def _find_images(
    tree: Node, decide: Callable[[str], Decision], paths: tuple[ImagePath, ...]
) -> Iterator[_FoundImage]:
    for owner, node in find_pods(tree, paths):
        if isinstance(node, ScalarNode):
            if node.is_text and node.value:
                yield _FoundImage(node, owner, "", decide(node.value))
            continue
        pod = read_pod(to_plain_values(node, POD_DEPTH))
        if pod.spec is None or opt_out_reason(pod.metadata):
            continue
        for placement in decide_images(find_images(pod.spec), decide):
            yield _locate(node, placement)


def _locate(root: Node, placement: ImageDecision) -> _FoundImage:
    owner, node = root, root
    for token in placement.field.pointer.split("/")[1:]:
        child = get_child(node, token)
        assert child is not None, placement.field.pointer  # noqa: S101 - it was read from there
        owner, node = child
    assert isinstance(node, ScalarNode)  # noqa: S101 - as above
    return _FoundImage(node, owner, placement.field.name, placement.decision)


def _replace_images(source: str, found: list[_FoundImage]) -> tuple[str, set[int]]:
    """Return a document with its images replaced, and the ids of the nodes that are not.

    A scalar with an anchor is replaced if all of its uses are images, and all of these
    become the same.
    """
    by_node: dict[int, list[_FoundImage]] = {}
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

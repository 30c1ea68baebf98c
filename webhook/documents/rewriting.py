"""
Rewriting the images of a file of manifests; every other byte of it stays.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.documents.places import places
from webhook.documents.splicing import spliced
from webhook.documents.stream import decoded, documents
from webhook.documents.tree import DocumentError, Scalar, child, plain
from webhook.objects import ImageSlot, exempt, image_slots, pod_from, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from webhook.core import Decision
    from webhook.documents.places import ImagePath, Place
    from webhook.documents.stream import Document
    from webhook.documents.tree import Node
    from webhook.objects import Placement

__all__ = ["Image", "Problem", "Rewritten", "rewrite_manifests"]

# From a Pod's template to `reference` in spec.volumes[].image, and a level for its value.
POD_DEPTH: Final = 6
KEY: Final = "image"
ESCAPE: Final = "\\"


@dataclass(frozen=True, slots=True)
class Image:
    """
    One image of a file, and the decision on it.

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
        """
        Whether another image is written in its place.
        """
        return not self.shared and self.decision.image != self.decision.original


@dataclass(frozen=True, slots=True)
class Problem:
    """
    A document that is left as it is since it cannot be read.
    """

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Rewritten:
    """
    A file after rewriting.

    Attributes:
        content: Its bytes.
        images: Every image that was found.
        problems: What could not be read.
    """

    content: bytes
    images: tuple[Image, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """
    An image in a tree: the text, what it is written in, and the decision on it.
    """

    node: Scalar
    owner: Node
    name: str
    decision: Decision


def rewrite_manifests(
    content: bytes, decide: Callable[[str], Decision], paths: Iterable[ImagePath] = ()
) -> Rewritten:
    """
    Rewrite every image of a file.

    Args:
        content: The file: YAML or JSON, of one document or several.
        decide: Decides on one image.
        paths: Where custom kinds have images.
    """
    try:
        mark, encoding, text = decoded(content)
    except DocumentError as error:
        return Rewritten(content, problems=(Problem(1, error.problem),))
    ends = [index for index, character in enumerate(text) if character == "\n"]
    paths = tuple(paths)
    parts: list[str] = []
    images: list[Image] = []
    problems: list[Problem] = []
    for document in documents(text):
        # Escapes can spell the key in other ways, and nothing else can.
        if KEY not in document.text and ESCAPE not in document.text and not paths:
            parts.append(document.text)
            continue

        def line(offset: int, start: int = document.start) -> int:
            return bisect_right(ends, start + offset - 1) + 1

        try:
            trees = document.trees()
        except DocumentError as error:
            problems.append(Problem(line(error.offset), error.problem))
            parts.append(document.text)
            continue
        found = [each for tree in trees for each in images_of(tree, decide, paths)]
        replaced, told = replacements(document, found)
        parts.append(replaced)
        images += [
            Image(line(each.node.start), each.name, each.decision, id(each.node) in told)
            for each in found
        ]
    rewritten = mark + "".join(parts).encode(encoding)
    return Rewritten(rewritten, tuple(images), tuple(problems))


def images_of(
    tree: Node, decide: Callable[[str], Decision], paths: tuple[ImagePath, ...]
) -> Iterator[Found]:
    """
    Yield the images of one document, each with its decision.
    """
    for place in places(tree, paths):
        if isinstance(place.node, Scalar):
            yield from single_image(place, place.node, decide)
            continue
        pod = pod_from(plain(place.node, POD_DEPTH))
        if pod.spec is None or exempt(pod.metadata):
            continue
        for placement in rewrite(image_slots(pod.spec), decide):
            yield located(place.node, placement)


def single_image(
    place: Place, node: Scalar, decide: Callable[[str], Decision]
) -> Iterator[Found]:
    """
    Yield the image that a path of a custom kind leads to, if it is one.
    """
    if node.is_text and node.value:
        slot = ImageSlot(pointer="", image=node.value, field="", name="", pull_policy=None)
        for _, decision in rewrite([slot], decide):
            yield Found(node, place.owner, slot.name, decision)


def located(root: Node, placement: Placement) -> Found:
    """
    Return a placement with the text that it is about.
    """
    owner, node = root, root
    for token in placement.slot.pointer.split("/")[1:]:
        step = child(node, token)
        assert step is not None, placement.slot.pointer  # noqa: S101 - it was read from there
        owner, node = step
    assert isinstance(node, Scalar)  # noqa: S101 - as above
    return Found(node, owner, placement.slot.name, placement.decision)


def replacements(document: Document, found: list[Found]) -> tuple[str, set[int]]:
    """
    Return the document with its images replaced, and the texts that are left alone.

    A text with an anchor is replaced where all that it stands for are images, and all
    of these become the same.
    """
    by_node: dict[int, list[Found]] = {}
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
            spans.append(spliced(document.text, node, images.pop()))
    text, begin = [], 0
    for start, end, image in sorted(spans):
        text += [document.text[begin:start], image]
        begin = end
    return "".join([*text, document.text[begin:]]), shared

"""The images in the tree of a document, and what becomes of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.manifests.places import places
from webhook.manifests.tree import Scalar, child, plain
from webhook.objects import ImageSlot, exempt, image_slots, pod_from, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhook.core import Decision
    from webhook.manifests.places import ImagePath, Place
    from webhook.manifests.tree import Node
    from webhook.objects import Placement

__all__ = ["Found", "images_of"]

# From a Pod's template to `reference` in spec.volumes[].image, and a level for its value.
POD_DEPTH: Final = 6


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

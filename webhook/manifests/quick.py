"""The quick way to the images of a YAML document, for the way that nearly all are written.

It finds what `images_of` finds in the tree, or says that this has to be asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yaml import MappingNode, ScalarNode, SequenceNode

from webhook.manifests.composing import UnusualError, composed
from webhook.manifests.finding import Found
from webhook.manifests.places import GROUPS, LIST, MAX_LISTS
from webhook.manifests.tree import Scalar
from webhook.manifests.yaml_tree import is_text
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
    from collections.abc import Callable
    from typing import TypeAlias

    from yaml import Node

    from webhook.core import Decision
    from webhook.objects import Placement

    Fields: TypeAlias = dict[str, Node]
    # Each with the node of its text.
    Images: TypeAlias = list[tuple[Any, ImageSlot]]

__all__ = ["quick_images"]

EXEMPTING: Final = frozenset({MIRROR_POD, OPT_OUT})
UNTOLD_TAG: Final = "!"


def quick_images(text: str, decide: Callable[[str], Decision]) -> list[Found]:
    """Return the images of a document, each with its decision.

    Args:
        text: The document.
        decide: Decides on one image.

    Raises:
        UnusualError: It takes the tree to say.
    """
    images: Images = []
    for root in composed(text):
        for pod in pods_in(root):
            take(pod, text, images)
    decided = rewrite([slot for _, slot in images], decide)
    return [found(node, placement) for (node, _), placement in zip(images, decided, strict=True)]


def found(node: Any, placement: Placement) -> Found:
    """Return an image with its text: without an alias this stands in one place."""
    slot, decision = placement
    start, end = node.start_mark.index, node.end_mark.index
    text = Scalar(slot.image, True, node.style or "", start, end, 1)
    return Found(text, text, slot.name, decision)


def pods_in(node: Node, kind: str = "", depth: int = 0) -> list[Fields]:
    """Return what is written in each Pod and Pod template of an object."""
    fields = fields_of(node)
    kind = word(fields.get("kind")) or kind
    if kind.endswith(LIST) and isinstance(items := fields.get("items"), SequenceNode):
        if depth >= MAX_LISTS:
            return []
        item = kind.removesuffix(LIST)
        return [pod for each in items.value for pod in pods_in(each, item, depth + 1)]
    path = POD_SPEC_PATHS.get(kind)
    if path is None or word(fields.get("apiVersion")).rpartition("/")[0] not in GROUPS:
        return []
    for step in path[:-1]:
        if step not in fields:
            return []
        fields = fields_of(fields[step])
    return [fields]


def take(pod: Fields, text: str, into: Images) -> None:
    """Take each image of a Pod with its slot, in the order of `image_slots`."""
    if "spec" not in pod:
        return
    if "metadata" in pod:
        refuse_exempt(fields_of(pod["metadata"]))
    spec = fields_of(pod["spec"])
    for field in CONTAINER_FIELDS:
        if isinstance(entries := spec.get(field), SequenceNode):
            for entry in entries.value:
                fields = fields_of(entry)
                node = fields.get("image")
                if image := text_of(node, text):
                    name = text_of(fields.get("name"), text) or ""
                    policy = text_of(fields.get("imagePullPolicy"), text)
                    into.append((node, ImageSlot("", image, field, name, policy)))
    if isinstance(entries := spec.get(VOLUMES), SequenceNode):
        for entry in entries.value:
            take_volume(fields_of(entry), text, into)


def take_volume(volume: Fields, text: str, into: Images) -> None:
    """Take the image of a volume, if it has one."""
    source = volume.get("image")
    if isinstance(source, MappingNode):
        fields = fields_of(source)
        node = fields.get("reference")
        if image := text_of(node, text):
            name = f"volume:{text_of(volume.get('name'), text) or ''}"
            policy = text_of(fields.get("pullPolicy"), text)
            into.append((node, ImageSlot("", image, VOLUMES, name, policy)))


def refuse_exempt(metadata: Fields) -> None:
    """Leave a Pod to the tree whose images may have to be left alone."""
    for field in ("annotations", "labels"):
        node = metadata.get(field)
        if isinstance(node, MappingNode) and not EXEMPTING.isdisjoint(fields_of(node)):
            raise UnusualError


def fields_of(node: Node) -> Fields:
    """Return the values of a mapping by their keys; of the same key the last.

    Raises:
        UnusualError: It is none, or has keys that are no scalars.
    """
    if not isinstance(node, MappingNode):
        raise UnusualError
    try:
        return {key.value: value for key, value in node.value}
    except TypeError:
        raise UnusualError from None


def word(node: Node | None) -> str:
    """Return what a scalar says, of whatever type; empty if it is none."""
    return str(node.value) if isinstance(node, ScalarNode) else ""


def text_of(node: Node | None, source: str) -> str | None:
    """Return a text; None if it is something else.

    Raises:
        UnusualError: It has the one tag that its node does not tell of.
    """
    if not isinstance(node, ScalarNode):
        return None
    value: str = node.value
    if is_text(value, node.tag, node.style):
        return value
    if source.startswith(UNTOLD_TAG, node.start_mark.index):
        raise UnusualError
    return None

"""Finding the images of a document, each of which is one place in its text.

Aliases can make a tree much larger than its source, so each of its nodes is visited once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.manifests.image_paths import ALL_ITEMS, PARAMETERS, get_built_in_paths
from webhook.manifests.nodes import (
    DocumentError,
    MappingNode,
    OwnedNode,
    ScalarNode,
    SequenceNode,
    get_child,
    to_plain_values,
)
from webhook.objects import ImageField, find_images, opt_out_reason, read_pod

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator

    from webhook.manifests.image_paths import ImagePath
    from webhook.manifests.nodes import Node

__all__ = ["FoundImage", "ImageFinder", "ObjectName"]

LIST: Final = "List"
SECTIONS: Final = ("containers", "initContainers", "ephemeralContainers", "volumes")
# From metadata to the value of a label; and from a list of volumes to `reference` of an image.
METADATA_DEPTH: Final = 2
SECTION_DEPTH: Final = 3
NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
UNRENDERED: Final = "{{"
RENDER: Final = "if it is a template, render it first (`helm template`)"


class ObjectName(NamedTuple):
    """The object that an image belongs to; what its manifest leaves out is empty."""

    kind: str = ""
    namespace: str = ""
    name: str = ""


class FoundImage(NamedTuple):
    """A scalar that is an image, the mapping or list that it is written in, and what it is for."""

    owner: Node
    node: ScalarNode
    field: ImageField
    parent: ObjectName = ObjectName()


class ImageFinder:
    """Finds the images of one document.

    Args:
        paths: Where custom kinds have images, in addition to those that are built in.

    Attributes:
        problems: What is not as Kubernetes requires; the offsets are those of the document.
        matched: The paths that lead to something.
    """

    def __init__(self, paths: Iterable[ImagePath]) -> None:
        self._paths = tuple(paths)
        self._seen: set[tuple[object, ...]] = set()
        self._opted_out: dict[int, bool] = {}
        self.problems: list[DocumentError] = []
        self.matched: set[ImagePath] = set()

    def find(self, tree: Node) -> Iterator[FoundImage]:
        """Yield the images of a tree of the document."""
        for found, kind, group in self.iterate_objects(tree):
            parameter = PARAMETERS.get(group)
            own = [path for path in self._paths if path.is_for(kind, group)]
            parent = _read_name(found.node, kind)
            for path in dict.fromkeys([*get_built_in_paths(kind, group), *own]):
                for place in self._follow(found, path):
                    for image in self._read(place, path, parameter):
                        yield image._replace(parent=parent)

    def _is_new(self, *key: object) -> bool:
        """Return whether this is the first time that something is visited."""
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def iterate_objects(self, tree: Node) -> Iterator[tuple[OwnedNode, str, str]]:
        """Yield each object with its kind and group; of a list, its items.

        An object with aliases is yielded once.
        """
        waiting = [(OwnedNode(tree, tree), "")]
        while waiting:
            found, kind = waiting.pop()
            kind = self._read_kind(found.node) or kind
            items = get_child(found.node, "items")
            if kind.endswith(LIST) and items and isinstance(items.node, SequenceNode):
                kind = kind.removesuffix(LIST)
                if self._is_new(LIST, kind, id(items.node)):
                    waiting += [
                        (OwnedNode(items.node, item), kind) for item in reversed(items.node.items)
                    ]
            elif kind and self._is_new(kind, id(found.node)):
                group = _get_text(found.node, "apiVersion").rpartition("/")[0]
                yield found, kind, group

    def _read_kind(self, node: Node) -> str:
        kind = get_child(node, "kind")
        if kind is None or not isinstance(kind.node, ScalarNode):
            return ""
        if UNRENDERED in kind.node.value:
            self._report(kind.node, f"the kind {kind.node.value!r} is not one: {RENDER}")
        return kind.node.value

    def _follow(self, found: OwnedNode, path: ImagePath) -> list[OwnedNode]:
        """Return the nodes that a path leads to, without those that it has led to before."""
        level = [found]
        for depth, step in enumerate(path.steps):
            level = [
                child
                for place in level
                for child in _get_children(place.node, step)
                if isinstance(child.node, ScalarNode) or self._is_new(path, depth, id(child.node))
            ]
        return level

    def _read(
        self, found: OwnedNode, path: ImagePath, parameter: re.Pattern[str] | None
    ) -> Iterator[FoundImage]:
        """Yield the images of a Pod, a template, a Pod's spec, a container, or an image."""
        node = found.node
        spec = get_child(node, "spec")
        images: Iterable[FoundImage] = ()
        if isinstance(node, ScalarNode):
            if not _is_null(node) and self._expect_text(node):
                images = [FoundImage(found.owner, node, _make_field(node.value))]
        elif any(get_child(node, section) for section in SECTIONS):
            images = self._read_spec(node)
        elif spec is not None:
            images = () if self._is_opted_out(node) else self._read_spec(spec.node)
        elif get_child(node, "image") and not get_child(node, "kind"):
            images = self._read_section("containers", SequenceNode([node]))
        else:
            return
        self.matched.add(path)
        for image in images:
            if self._is_new(id(image.owner), id(image.node)) and not (
                parameter and parameter.search(image.node.value)
            ):
                yield image

    def _is_opted_out(self, template: Node) -> bool:
        metadata = get_child(template, "metadata")
        if metadata is None:
            return False
        key = id(metadata.node)
        if key not in self._opted_out:
            values = to_plain_values(metadata.node, METADATA_DEPTH)
            self._opted_out[key] = bool(opt_out_reason(read_pod({"metadata": values}).metadata))
        return self._opted_out[key]

    def _read_spec(self, spec: Node) -> Iterator[FoundImage]:
        if not isinstance(spec, MappingNode):
            if not _is_null(spec):
                self._report(spec, f"the spec is not a mapping: {RENDER}")
            return
        for section in SECTIONS:
            found = get_child(spec, section)
            if found is None or _is_null(found.node):
                continue
            if not isinstance(found.node, SequenceNode):
                self._report(found.node, f"{section} is not a list: {RENDER}")
            elif self._is_new(section, id(found.node)):
                yield from self._read_section(section, found.node)

    def _read_section(self, section: str, entries: SequenceNode) -> Iterator[FoundImage]:
        for entry in entries.items:
            self._check_entry(section, entry)
        plain = to_plain_values(entries, SECTION_DEPTH)
        spec = read_pod({"spec": {section: plain}}).spec
        assert spec is not None  # noqa: S101 - it was given
        for field in find_images(spec, ""):
            place = OwnedNode(entries, entries)
            for token in field.pointer.split("/")[2:]:
                child = get_child(place.node, token)
                assert child is not None, field.pointer  # noqa: S101 - it was read from there
                place = child
            assert isinstance(place.node, ScalarNode)  # noqa: S101 - as above
            yield FoundImage(place.owner, place.node, field)

    def _check_entry(self, section: str, entry: Node) -> None:
        """Report an entry that is not a mapping, and an image that is not a string."""
        if not isinstance(entry, MappingNode):
            if not _is_null(entry):
                self._report(entry, f"an entry of {section} is not a mapping: {RENDER}")
            return
        image = get_child(entry, "image")
        if image and section == "volumes":
            image = get_child(image.node, "reference")
        if image and not _is_null(image.node):
            self._expect_text(image.node)

    def _expect_text(self, node: Node) -> bool:
        if isinstance(node, ScalarNode) and node.is_text:
            return True
        self._report(node, f"the image is not a string: write it in quotes; {RENDER}")
        return False

    def _report(self, node: Node, problem: str) -> None:
        self.problems.append(DocumentError(problem, node.start))


def _get_children(node: Node, step: str) -> Iterator[OwnedNode]:
    if step != ALL_ITEMS:
        child = get_child(node, step)
        if child is not None:
            yield child
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield OwnedNode(node, item)
    elif isinstance(node, MappingNode):
        for _, value in node.entries:
            yield OwnedNode(node, value)


def _read_name(node: Node, kind: str) -> ObjectName:
    metadata = get_child(node, "metadata")
    if metadata is None:
        return ObjectName(kind)
    name = _get_text(metadata.node, "name") or _get_text(metadata.node, "generateName")
    return ObjectName(kind, _get_text(metadata.node, "namespace"), name)


def _make_field(image: str) -> ImageField:
    return ImageField(pointer="", image=image, section="", name="", pull_policy=None)


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.is_text and node.value in NULLS


def _get_text(node: Node, key: str) -> str:
    child = get_child(node, key)
    return child.node.value if child and isinstance(child.node, ScalarNode) else ""

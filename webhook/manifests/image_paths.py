"""Where manifests have Pods, and where custom kinds have images."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.manifests.nodes import MappingNode, OwnedNode, ScalarNode, SequenceNode, get_child
from webhook.objects import POD_SPEC_PATHS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webhook.manifests.nodes import Node

__all__ = ["GROUPS", "ImagePath", "InvalidImagePathError", "find_objects", "find_pods"]

# The API groups of the kinds in `POD_SPEC_PATHS`; others have kinds of the same names
# (Volcano's Job) whose objects look different.
GROUPS: Final = frozenset({"", "apps", "batch", "extensions"})
ALL_ITEMS: Final = "*"
STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(\*|[0-9]+)?\]")
LIST: Final = "List"
MAX_LISTS: Final = 8


class InvalidImagePathError(ValueError):
    """A text is not an image path; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class ImagePath:
    """Where a custom kind has images.

    Attributes:
        kind: The kind.
        group: Its API group; empty for any.
        steps: Keys and indices on the way there; ``*`` is every item of a list.
    """

    kind: str
    group: str
    steps: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> ImagePath:
        """Parse ``KIND[.GROUP]=PATH``, such as ``Rollout.argoproj.io=spec.template``.

        Raises:
            InvalidImagePathError: The text has another form.
        """
        kind, equals, path = text.partition("=")
        name, _, group = kind.partition(".")
        steps = tuple(key or index or ALL_ITEMS for key, index in STEP.findall(path))
        if not name or not equals or not steps or STEP.sub("", path):
            problem = (
                f"{text!r} is not KIND[.GROUP]=PATH, "
                "as in Rollout.argoproj.io=spec.template or Tool=spec.images[*].name"
            )
            raise InvalidImagePathError(problem)
        return cls(name, group, steps)

    def is_for(self, kind: str, group: str) -> bool:
        """Return whether objects of a kind have images there."""
        return kind == self.kind and self.group in ("", group)


def find_pods(root: Node, paths: Iterable[ImagePath]) -> Iterator[OwnedNode]:
    """Yield the Pods and Pod templates of a document, and single images of custom kinds.

    Args:
        root: The document; a list (``kind: List``) has several objects.
        paths: Where custom kinds have their Pod templates and images.
    """
    paths = tuple(paths)
    for found, kind, group in find_objects(OwnedNode(root, root)):
        known = POD_SPEC_PATHS.get(kind) if group in GROUPS else None
        if known is not None:
            yield from _follow(found, known[:-1])
        for path in paths:
            if path.is_for(kind, group):
                yield from map(_wrap_spec, _follow(found, path.steps))


def find_objects(
    found: OwnedNode, kind: str = "", depth: int = 0
) -> Iterator[tuple[OwnedNode, str, str]]:
    """Yield an object with its kind and group; for a list, each of its items."""
    kind = _get_text(found.node, "kind") or kind
    items = get_child(found.node, "items")
    if kind.endswith(LIST) and items and isinstance(items.node, SequenceNode):
        if depth < MAX_LISTS:
            for item in items.node.items:
                entry = OwnedNode(items.node, item)
                yield from find_objects(entry, kind.removesuffix(LIST), depth + 1)
    elif kind:
        version = _get_text(found.node, "apiVersion")
        yield found, kind, version.rpartition("/")[0]


def _follow(found: OwnedNode, steps: tuple[str, ...]) -> Iterator[OwnedNode]:
    """Yield the nodes that *steps* lead to."""
    if not steps:
        yield found
        return
    step, rest = steps[0], steps[1:]
    tokens = [step]
    if step == ALL_ITEMS:
        count = len(found.node.items) if isinstance(found.node, SequenceNode) else 0
        tokens = [str(index) for index in range(count)]
    for token in tokens:
        child = get_child(found.node, token)
        if child is not None:
            yield from _follow(child, rest)


def _wrap_spec(found: OwnedNode) -> OwnedNode:
    """Return a Pod template for a Pod's spec; other nodes as they are."""
    node = found.node
    if not isinstance(node, MappingNode) or get_child(node, "containers") is None:
        return found
    key = ScalarNode("spec", is_text=True, style="", start=0, end=0)
    return OwnedNode(found.owner, MappingNode([(key, node)]))


def _get_text(node: Node, key: str) -> str:
    child = get_child(node, key)
    return child.node.value if child and isinstance(child.node, ScalarNode) else ""

"""Where a manifest has its Pods, or the images of a custom kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.manifests.nodes import Mapping, Node, Scalar, Sequence, child
from webhook.objects import POD_SPEC_PATHS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ImagePath", "InvalidImagePathError", "Place", "places"]

# The API groups that have the kinds of `POD_SPEC_PATHS`; others have kinds of the same
# names (Volcano's Job) whose objects look different.
GROUPS: Final = frozenset({"", "apps", "batch", "extensions"})
EVERY: Final = "*"
STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(\*|[0-9]+)?\]")
LIST: Final = "List"
MAX_LISTS: Final = 8


class InvalidImagePathError(ValueError):
    """A text that tells of no place of images; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class ImagePath:
    """Where a custom kind has images.

    Attributes:
        kind: The kind.
        group: Its API group; empty for any.
        steps: Keys and indices on the way there; ``*`` stands for every entry of a list.
    """

    kind: str
    group: str
    steps: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> ImagePath:
        """Read ``KIND[.GROUP]=PATH``, as ``Rollout.argoproj.io=spec.template``.

        Raises:
            InvalidImagePathError: It is something else.
        """
        kind, equals, path = text.partition("=")
        name, _, group = kind.partition(".")
        steps = tuple(key or index or EVERY for key, index in STEP.findall(path))
        if not name or not equals or not steps or STEP.sub("", path):
            problem = (
                f"{text!r} is not KIND[.GROUP]=PATH, "
                "as in Rollout.argoproj.io=spec.template or Tool=spec.images[*].name"
            )
            raise InvalidImagePathError(problem)
        return cls(name, group, steps)

    def is_for(self, kind: str, group: str) -> bool:
        """Say whether objects of that kind have images there."""
        return kind == self.kind and self.group in ("", group)


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a document that has images.

    Attributes:
        node: A Pod or its template; or, of a custom kind, also a single image.
        owner: What *node* is written in.
    """

    node: Node
    owner: Node


def places(root: Node, paths: Iterable[ImagePath]) -> Iterator[Place]:
    """Yield the places of a document that have images.

    Args:
        root: The document.
        paths: Where custom kinds have them.
    """
    paths = tuple(paths)
    for place, kind, group in objects(Place(root, root)):
        known = POD_SPEC_PATHS.get(kind) if group in GROUPS else None
        if known is not None:
            yield from below(place, known[:-1])
        for path in paths:
            if path.is_for(kind, group):
                yield from map(as_template, below(place, path.steps))


def objects(place: Place, kind: str = "", depth: int = 0) -> Iterator[tuple[Place, str, str]]:
    """Yield an object with its kind and group; of a list, each of its items."""
    kind = text_at(place.node, "kind") or kind
    items = child(place.node, "items")
    if kind.endswith(LIST) and items and isinstance(items[1], Sequence):
        if depth < MAX_LISTS:
            for item in items[1].items:
                entry = Place(item, items[1])
                yield from objects(entry, kind.removesuffix(LIST), depth + 1)
    elif kind:
        version = text_at(place.node, "apiVersion") or ""
        yield place, kind, version.rpartition("/")[0]


def below(place: Place, steps: tuple[str, ...]) -> Iterator[Place]:
    """Yield the places that *steps* lead to."""
    if not steps:
        yield place
        return
    step, rest = steps[0], steps[1:]
    node = place.node
    if step == EVERY:
        count = len(node.items) if isinstance(node, Sequence) else 0
        tokens = [str(index) for index in range(count)]
    else:
        tokens = [step]
    for token in tokens:
        found = child(node, token)
        if found is not None:
            yield from below(Place(found[1], found[0]), rest)


def as_template(place: Place) -> Place:
    """Return a Pod's spec as the template that it stands for; others as they are."""
    node = place.node
    is_spec = isinstance(node, Mapping) and child(node, "containers") is not None
    if not is_spec:
        return place
    spec = Scalar("spec", is_text=True, style="", start=0, end=0)
    return Place(Mapping([(spec, node)]), place.owner)


def text_at(node: Node, key: str) -> str:
    """Return the text at a key of *node*; empty if there is none."""
    found = child(node, key)
    return found[1].value if found and isinstance(found[1], Scalar) else ""

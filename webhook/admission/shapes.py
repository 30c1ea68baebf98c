"""What Pods have in common that differ in the tags and digests of their images alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.core.precedent import parted, precedent_of, split_suffix
from webhook.objects import Container, Placement, PodSpec, has_image

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

__all__ = ["MARK", "MARKS", "Shape", "is_castable", "marked", "shape_of", "unmarked"]

# As tags, in the place of those that Pods have.
MARK: Final = ":mirrorhook-mark-{:02}"
MARKS: Final = re.compile(rb":mirrorhook-mark-(\d\d)")
# So many suffixes fit into what is never too much to be written down.
MAX_SLOTS: Final = 16


class Shape(NamedTuple):
    """What Pods have in common that differ in the tags and digests of their images alone.

    Attributes:
        key: The same for all of them, and for no others.
        suffixes: What stands behind the names of the images, in the order of the slots.
    """

    key: Hashable
    suffixes: list[bytes]


def shape_of(spec: PodSpec) -> Shape | None:
    """Return the shape of a Pod; None if it has no images with suffixes, or unusual places."""
    suffixes: list[bytes] = []
    key: list[Hashable] = [spec.image_pull_secrets]
    for containers in (spec.containers, spec.init_containers, spec.ephemeral_containers):
        key.append(len(containers or ()))
        for container in containers or ():
            image = container.image
            name, suffix = parted(image) if image else (image, "")
            key += (container.name, name, container.image_pull_policy, not suffix)
            if suffix:
                suffixes.append(suffix.encode())
    if not suffixes or len(suffixes) > MAX_SLOTS or any(map(has_image, spec.volumes or ())):
        return None
    return Shape(tuple(key), suffixes)


def marked(spec: PodSpec) -> PodSpec:
    """Return the parts of a spec that its shape is made of, with marks for suffixes."""
    count = 0

    def with_marks(containers: Iterable[Container] | None) -> tuple[Container, ...]:
        nonlocal count
        made = []
        for each in containers or ():
            split = split_suffix(each.image) if each.image else None
            image = each.image
            if split is not None:
                image = split.name + MARK.format(count)
                count += 1
            made.append(Container(each.name, image, each.image_pull_policy))
        return tuple(made)

    return PodSpec(
        containers=with_marks(spec.containers),
        init_containers=with_marks(spec.init_containers),
        ephemeral_containers=with_marks(spec.ephemeral_containers),
        image_pull_secrets=spec.image_pull_secrets,
    )


def unmarked(placements: Iterable[Placement], suffixes: Sequence[bytes]) -> tuple[Placement, ...]:
    """Return what becomes of images by what became of the same names with marks.

    Args:
        placements: That of the marked ones, which are castable.
        suffixes: What stands in the place of the marks.
    """
    made = []
    texts = iter(suffixes)
    number = 0
    for slot, decision in placements:
        mark = MARK.format(number)
        precedent = precedent_of(decision) if slot.image.endswith(mark) else None
        if precedent is None:
            made.append(Placement(slot, decision))
            continue
        number += 1
        image = slot.image.removesuffix(mark) + next(texts).decode()
        split = split_suffix(image)
        assert split is not None  # noqa: S101 - it comes from there
        made.append(Placement(slot._replace(image=image), precedent.followed(split)))
    return tuple(made)


def is_castable(placements: Sequence[Placement]) -> bool:
    """Say whether what becomes of marked images becomes of all others of their names."""
    number = 0
    for slot, decision in placements:
        mark = MARK.format(number)
        if slot.image.endswith(mark):
            if precedent_of(decision) is None:
                return False
            number += 1
        names = slot.image.removesuffix(mark), decision.image.removesuffix(mark)
        if MARKS.search(" ".join((slot.name, decision.reason, *names)).encode()):
            return False
    return True

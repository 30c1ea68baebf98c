"""What becomes of each image of an object, for webhook and offline rewriter alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.core import Decision, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from webhook.objects.slots import ImageSlot

__all__ = ["Placement", "rewrite"]

NEVER: Final = "Never"


class Placement(NamedTuple):
    """An image slot, and the decision on the image in it."""

    slot: ImageSlot
    decision: Decision


def rewrite(slots: Iterable[ImageSlot], decide: Callable[[str], Decision]) -> list[Placement]:
    """Decide on the image in each slot.

    Args:
        slots: The slots.
        decide: Chooses for one image, as `MirrorMap.decide` does.
    """
    return [
        Placement(slot, local(slot) if slot.pull_policy == NEVER else decide(slot.image))
        for slot in slots
    ]


def local(slot: ImageSlot) -> Decision:
    """Decide on an image that is never pulled: the node has it under its own name."""
    return Decision(slot.image, Outcome.LOCAL, "its pull policy is Never")

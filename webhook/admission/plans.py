"""The plans for new Pods, of which those of the latest are remembered."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from webhook.admission.casting import CastPlan
from webhook.admission.memory import Memory, following
from webhook.admission.molds import Mold
from webhook.admission.plan import Plan
from webhook.admission.shapes import is_castable, marked, shape_of
from webhook.objects import VOLUMES, has_image, image_slots, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from webhook.admission.shapes import Shape
    from webhook.core import Decision
    from webhook.objects import ImageSlot, PodSpec

__all__ = ["Plans"]

SIZE: Final = 256
SHAPES: Final = 128
MAX_CHARACTERS: Final = 4096
MAX_ENTRIES: Final = 256


class Unmolded(Enum):
    """Why there is no mold for a shape."""

    ONCE = "its second Pod has not come yet"
    NEVER = "its suffixes matter, or it takes too much memory"


class Plans:
    """The plans for new Pods, of which those of the latest are remembered.

    Args:
        decide: Decides on one image, by its name and always in the same way.
    """

    def __init__(self, decide: Callable[[str], Decision]) -> None:
        self._decide = following(decide)
        self._memory: Memory[Hashable, Plan | CastPlan] = Memory(SIZE)
        self._molds: Memory[Hashable, Mold | Unmolded] = Memory(SHAPES)
        # By hashes: most Pods of a mold never come again, and are not worth more memory.
        self._casts: Memory[int, bool] = Memory(SIZE)

    def of(self, spec: PodSpec | None) -> Plan | CastPlan:
        """Return the plan for a Pod that is created."""
        if spec is None:
            return Plan((), None)
        key = images_of(spec)
        plan = self._memory.recall(key)
        if plan is not None:
            return plan
        shape = shape_of(spec)
        mold = self._mold(spec, shape) if shape is not None else None
        if shape is not None and isinstance(mold, Mold):
            again = self._is_cast_again(key) and len(spec.volumes or ()) <= MAX_ENTRIES
            plan = CastPlan(mold, shape.suffixes, keeps=again)
            if again:
                self._memory.keep(key, plan)
            return plan
        plan = self._worked_out(spec)
        if is_light(spec, plan):
            self._memory.keep(key, plan)
            if shape is not None and mold is None:
                self._molds.keep(shape.key, Unmolded.ONCE)
        return plan

    def for_some(self, slots: Iterable[ImageSlot]) -> Plan:
        """Return the plan for some images of a Pod that is there."""
        return Plan(rewrite(slots, self._decide), None)

    def _is_cast_again(self, key: Hashable) -> bool:
        """Say whether a Pod with these images was cast lately."""
        number = hash(key)
        if self._casts.recall(number):
            return True
        self._casts.keep(number, True)
        return False

    def _mold(self, spec: PodSpec, shape: Shape) -> Mold | Unmolded | None:
        """Return the mold for a shape, which is made for the second of its Pods.

        Most shapes have one set of suffixes, for which none is worth its making.
        """
        mold = self._molds.recall(shape.key)
        if mold is Unmolded.ONCE:
            like = marked(spec)
            plan = self._worked_out(like)
            is_fit = is_light(like, plan) and is_castable(plan.placements)
            mold = Mold(plan, like, len(shape.suffixes)) if is_fit else Unmolded.NEVER
            self._molds.keep(shape.key, mold)
        return mold

    def _worked_out(self, spec: PodSpec) -> Plan:
        return Plan(rewrite(image_slots(spec), self._decide), spec)


def images_of(spec: PodSpec) -> Hashable:
    """Return everything of a spec that a plan depends on.

    Volumes of no image count by their number alone: the one of the service account's
    token has another name in each Pod.
    """
    volumes = tuple([each if has_image(each) else None for each in spec.volumes or ()])
    return (
        spec.containers,
        spec.init_containers,
        spec.ephemeral_containers,
        spec.image_pull_secrets,
        volumes,
    )


def is_light(spec: PodSpec, plan: Plan) -> bool:
    """Say whether what its plan keeps of a Pod is worth its memory.

    Hostile Pods have names without end, and entries that hold nothing; real ones do not.
    """
    slots = [slot for slot, _ in plan.placements]
    characters = sum([len(slot[1]) + len(slot[3]) + len(slot[4] or "") for slot in slots])
    entries = (
        len(spec.containers or ())
        + len(spec.init_containers or ())
        + len(spec.ephemeral_containers or ())
    )
    named = spec.image_pull_secrets or ()
    return (
        characters <= MAX_CHARACTERS
        and entries == sum([slot[2] is not VOLUMES for slot in slots])
        and len(spec.volumes or ()) <= MAX_ENTRIES
        and sum([len(secret.name or "") + 1 for secret in named]) <= MAX_CHARACTERS
    )

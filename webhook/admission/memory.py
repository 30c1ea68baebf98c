"""Bounded memories: clusters ask for the same few images again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from webhook.core.precedent import precedent_of, split_suffix

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from webhook.core import Decision
    from webhook.core.precedent import Precedent

__all__ = ["Memory", "following", "remembered"]

Key = TypeVar("Key", bound="Hashable")
Value = TypeVar("Value")

SIZE: Final = 1024
# Longer names are not worth their memory: hostile ones are, real ones hardly ever.
MAX_LENGTH: Final = 512


class Memory(Generic[Key, Value]):
    """The latest values by their keys, in two generations.

    What is asked for moves into the young generation. When that is full it becomes the
    old one, and the old one is forgotten: an order that costs nothing to keep.

    Args:
        size: How many values one generation holds.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def recall(self, key: Key) -> Value | None:
        """Return the value of *key*; None if it is not known, or not any more."""
        value = self._young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self.keep(key, value)
        return value

    def keep(self, key: Key, value: Value) -> None:
        """Remember a value."""
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
        self._young[key] = value


def remembered(decide: Callable[[str], Decision]) -> Callable[[str], Decision]:
    """Return *decide* with a memory of its latest decisions.

    Args:
        decide: Decides on one image, always in the same way.
    """
    memory: Memory[str, Decision] = Memory(SIZE)
    decide = following(decide)

    def recall(image: str) -> Decision:
        decision = memory.recall(image)
        if decision is None:
            decision = decide(image)
            if len(image) <= MAX_LENGTH:
                memory.keep(image, decision)
        return decision

    return recall


def following(decide: Callable[[str], Decision]) -> Callable[[str], Decision]:
    """Return *decide* with a memory for names, by which new builds of an image are decided on.

    Args:
        decide: Decides on one image, by its name and always in the same way.
    """
    precedents: Memory[str, Precedent] = Memory(SIZE)

    def derived(image: str) -> Decision:
        suffixed = split_suffix(image) if len(image) <= MAX_LENGTH else None
        if suffixed is None:
            return decide(image)
        precedent = precedents.recall(suffixed.name)
        if precedent is not None:
            return precedent.followed(suffixed)
        decision = decide(image)
        precedent = precedent_of(decision)
        if precedent is not None:
            precedents.keep(suffixed.name, precedent)
        return decision

    return derived

"""What comes of rewriting manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from webhook.core import Decision

__all__ = ["Image", "Problem", "Rewritten"]


class Image(NamedTuple):
    """One image of a file, and the decision on it.

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
        """Whether another image is written in its place."""
        return not self.shared and self.decision.image != self.decision.original


class Problem(NamedTuple):
    """A document that is left as it is since it cannot be read."""

    line: int
    text: str


class Rewritten(NamedTuple):
    """A file, or a stretch of it, after rewriting.

    Attributes:
        content: Its bytes.
        images: Every image that was found.
        problems: What could not be read.
    """

    content: bytes
    images: tuple[Image, ...] = ()
    problems: tuple[Problem, ...] = ()

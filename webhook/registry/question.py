"""What is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhook.core import ImageReference

__all__ = ["Question", "question_for"]


@dataclass(frozen=True, slots=True)
class Question:
    """Whether a registry has an image.

    Attributes:
        reference: The image.
        mirror: What metrics call the registry: the mirror's target, or ``original``.
        name: The image in normal form.
    """

    reference: ImageReference
    mirror: str
    name: str


def question_for(reference: ImageReference, mirror: str) -> Question:
    """Return the question for *reference*."""
    return Question(reference, mirror, str(reference))

"""Which decisions a visitor wants to see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhook.server.history import ImageNote

__all__ = ["Filter"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which decisions to show; an empty text lets everything through.

    Attributes:
        namespace: The namespace.
        outcome: The outcome.
        text: A part of the image, of the candidate or of the Pod's name.
    """

    namespace: str = ""
    outcome: str = ""
    text: str = ""

    def passes(self, note: ImageNote) -> bool:
        """Say whether a decision is to be shown."""
        if self.namespace and note.namespace != self.namespace:
            return False
        if self.outcome and note.outcome != self.outcome:
            return False
        wanted = self.text.lower()
        return not wanted or any(
            wanted in text.lower() for text in (note.image, note.candidate, note.pod)
        )

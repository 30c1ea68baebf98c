"""
A bounded memory of decisions: clusters ask for the same few images again and again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.core import Decision

__all__ = ["remembered"]

SIZE: Final = 2048
# Longer names are not worth their memory: hostile ones are, real ones hardly ever.
MAX_LENGTH: Final = 512


def remembered(decide: Callable[[str], Decision]) -> Callable[[str], Decision]:
    """
    Return *decide* with a memory of its latest decisions.

    Args:
        decide: Decides on one image, always in the same way.
    """
    known = lru_cache(maxsize=SIZE)(decide)

    def recall(image: str) -> Decision:
        return known(image) if len(image) <= MAX_LENGTH else decide(image)

    return recall

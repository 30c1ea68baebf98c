"""What is said of decisions: in audit events, warnings and log, in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET, Struct, UnsetType

from webhook.core.errors import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.objects import Placement

__all__ = ["described", "warnings"]

# The API server cuts every warning to 256 characters once those of a request are
# longer than 4,096 together (k8s.io/apiserver, endpoints/filters/warning.go).
MAX_WARNING: Final = 256
MAX_WARNINGS: Final = 15


class Described(Struct, frozen=True, omit_defaults=True, gc=False):
    """One decision, as audit event and log have it."""

    name: str
    image: str
    outcome: str
    reason: str
    result: str | UnsetType = UNSET


def described(placement: Placement) -> Described:
    """Return one decision, as audit event and log have it."""
    slot, (original, outcome, reason, _, _, _, candidate) = placement
    if candidate is None:
        return Described(slot.name, original, outcome.value, reason)
    return Described(slot.name, original, outcome.value, reason, candidate.image)


def warnings(placements: Iterable[Placement]) -> list[str]:
    """Return a warning for each image that was decided on doubt, within bounds."""
    doubtful = [
        f"mirrorhook: image of {slot.name or slot.pointer} "
        f"{'left as it is' if decision.candidate is None else 'rewritten'}, "
        f"{decision.outcome}: {quote(decision.original)}: {decision.reason}"
        for slot, decision in placements
        if decision.outcome.needs_warning
    ]
    texts = [shortened(text) for text in doubtful[:MAX_WARNINGS]]
    if len(doubtful) > MAX_WARNINGS:
        texts.append(f"mirrorhook: {len(doubtful) - MAX_WARNINGS} more images like these")
    return texts


def shortened(text: str) -> str:
    """Return *text* within the bounds of a warning."""
    return text if len(text) <= MAX_WARNING else f"{text[: MAX_WARNING - 1]}…"

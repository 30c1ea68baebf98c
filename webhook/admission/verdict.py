"""What became of a request, with everything that is to be said of it made once."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from webhook.admission.wording import described, warnings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.objects import Operation, Placement

__all__ = ["Result", "Totals", "Verdict"]

# An audit event is one line of the log; a Pod of a hundred images is none of ours.
MAX_AUDITED: Final = 100

_encode = msgspec.json.Encoder().encode


class Result(StrEnum):
    """What became of a review; also a label of the metric."""

    PATCHED = "patched"
    UNCHANGED = "unchanged"
    OBSERVED = "observed"  # it would have been patched
    SKIPPED = "skipped"
    ERROR = "error"


def encoded(placements: Iterable[Placement]) -> msgspec.Raw:
    """Return decisions as JSON."""
    return msgspec.Raw(_encode([*map(described, placements)]))


class Response(Struct, frozen=True, omit_defaults=True, rename="camel", gc=False):
    """An AdmissionResponse but for its uid; patch and patchType are there together or not."""

    allowed: bool
    patch: bytes | UnsetType = UNSET
    patch_type: str | UnsetType = UNSET
    audit_annotations: dict[str, str] | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET


class Totals(NamedTuple):
    """What a verdict comes to, in numbers; the same for Pods of the same kind.

    Attributes:
        images: How many images there are.
        outcomes: How many images had the same rule and outcome; no rule is empty.
        shares: How many were sent by the same rule to the same target.
        doubtful: How many were decided on doubt.
        rewritten: How many get another name, beyond doubt.
    """

    images: int
    outcomes: tuple[tuple[tuple[str, str], int], ...]
    shares: tuple[tuple[tuple[str, str], int], ...]
    doubtful: int
    rewritten: int


def totals_of(placements: tuple[Placement, ...]) -> Totals:
    """Add up what becomes of some images."""
    outcomes: dict[tuple[str, str], int] = {}
    shares: dict[tuple[str, str], int] = {}
    doubtful = rewritten = 0
    for _, (_, outcome, _, _, rule, _, candidate) in placements:
        kind = "" if rule is None else str(rule), outcome.value
        outcomes[kind] = outcomes.get(kind, 0) + 1
        if candidate is not None:
            steps = candidate.steps
            share = steps[0][0].name, steps[-1][1].target
            shares[share] = shares.get(share, 0) + 1
        if outcome.needs_warning:
            doubtful += 1
        elif candidate is not None:
            rewritten += 1
    return Totals(
        len(placements),
        tuple(outcomes.items()),
        tuple(shares.items()),
        doubtful,
        rewritten,
    )


class Verdict:
    """What becomes of one request, and of all others that are alike; it never changes.

    What is said of it is made when it is first asked for, in the thread of the reviews.

    Attributes:
        result: The outcome as a whole.
        reason: Why nothing was looked at; empty where the images were.
        warning: A warning of its own; empty for none.
    """

    __slots__ = (
        "_decisions",
        "_operations",
        "_placements",
        "_response",
        "_totals",
        "_weight",
        "reason",
        "result",
        "warning",
    )

    def __init__(
        self,
        result: Result,
        reason: str = "",
        placements: tuple[Placement, ...] = (),
        operations: tuple[Operation, ...] = (),
        warning: str = "",
    ) -> None:
        self.result = result
        self.reason = reason
        self._placements = placements
        self._operations = operations
        self.warning = warning
        self._response: bytes | None = None
        self._decisions: msgspec.Raw | None = None
        self._totals: Totals | None = None
        self._weight: int | None = None

    @property
    def placements(self) -> tuple[Placement, ...]:
        """The images that were looked at, each with its decision."""
        return self._placements

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The patch; empty for none."""
        return self._operations

    @property
    def response(self) -> bytes:
        """The AdmissionResponse as JSON, without its uid."""
        if self._response is None:
            operations = self.operations
            told = [self.warning] if self.warning else self._warnings()
            self._response = _encode(
                Response(
                    allowed=True,
                    patch=_encode(operations) if operations else UNSET,
                    patch_type="JSONPatch" if operations else UNSET,
                    audit_annotations=self._audit() or UNSET,
                    warnings=told or UNSET,
                )
            )
        return self._response

    @property
    def decisions(self) -> msgspec.Raw:
        """The decisions as JSON, as the log has them."""
        if self._decisions is None:
            self._decisions = encoded(self.placements)
        return self._decisions

    @property
    def totals(self) -> Totals:
        """What it comes to, in numbers."""
        if self._totals is None:
            self._totals = totals_of(self.placements)
        return self._totals

    @property
    def weight(self) -> int:
        """How many characters its names and images have."""
        if self._weight is None:
            self._weight = sum([len(slot.name) + len(slot.image) for slot, _ in self.placements])
        return self._weight

    def _warnings(self) -> list[str]:
        return warnings(self.placements) if self.totals.doubtful else []

    def _audit(self) -> dict[str, str]:
        """Return what the audit event of the request says.

        The API server puts the webhook's name before each key.
        """
        if self.result is Result.SKIPPED:
            return {"skipped": self.reason}
        if not self.placements:
            return {}
        decisions = self.decisions
        if len(self.placements) > MAX_AUDITED:
            decisions = encoded(self.placements[:MAX_AUDITED])
        notes = {"decisions": bytes(decisions).decode()}
        if self.result is Result.OBSERVED:
            notes["mode"] = "observe"
        return notes

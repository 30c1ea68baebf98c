"""The result of a review, and how the API server gets it: patch, warnings, audit annotations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from webhook.core import Outcome
from webhook.core.errors import quote, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.core.rules import Rule
    from webhook.objects import ImageDecision, Operation

__all__ = ["ReviewOutcome", "ReviewResult", "Totals"]

# An audit event is one line of a log; Pods with more images than this are not real.
MAX_AUDITED: Final = 100
# Characters of names and of other texts in warnings, audit event and log. Kubernetes allows 63 for
# the name of a container, and images have up to 1,024, but a Pod is reviewed before it is checked.
MAX_NAME: Final = len("volume:") + 63
MAX_TEXT: Final = 1024
TEAM_LABEL: Final = "MirrorRules"
MAX_SUMMARY: Final = 32 * 1024
# The API server cuts every warning to 256 characters once those of a request are
# longer than 4,096 together (k8s.io/apiserver, endpoints/filters/warning.go).
MAX_WARNING: Final = 256
MAX_WARNINGS: Final = 15

_encode = msgspec.json.Encoder().encode


class ReviewOutcome(StrEnum):
    """The outcome of a review; also a label of the metric."""

    PATCHED = "patched"
    UNCHANGED = "unchanged"
    OBSERVED = "observed"  # it would have been patched
    SKIPPED = "skipped"
    ERROR = "error"


class Totals(NamedTuple):
    """The numbers of a review result.

    Attributes:
        images: How many images there are.
        outcomes: How many images have the same rule (empty for none) and outcome.
        shares: How many images the same rule sends to the same target.
        warned: How many images have an outcome that needs a warning.
        rewritten: How many images get another name, without a warning.
    """

    images: int
    outcomes: tuple[tuple[tuple[str, str], int], ...]
    shares: tuple[tuple[tuple[str, str], int], ...]
    warned: int
    rewritten: int


class _Response(Struct, frozen=True, omit_defaults=True, rename="camel", gc=False):
    """An AdmissionResponse without its uid; patch and patchType come together or not at all."""

    allowed: bool
    patch: bytes | UnsetType = UNSET
    patch_type: str | UnsetType = UNSET
    audit_annotations: dict[str, str] | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET


class _DescribedDecision(Struct, frozen=True, omit_defaults=True, gc=False):
    """One decision in audit event and log."""

    name: str
    image: str
    outcome: str
    reason: str
    rule: str | UnsetType = UNSET
    result: str | UnsetType = UNSET


@dataclass(frozen=True)
class ReviewResult:
    """The result of a request, shared by all requests that are alike.

    Attributes:
        outcome: The outcome as a whole.
        reason: Why the request was skipped.
        images: The images that were looked at, each with its decision.
        operations: The patch.
        warning: A warning that replaces those of the images.
    """

    outcome: ReviewOutcome
    reason: str = ""
    images: tuple[ImageDecision, ...] = ()
    operations: tuple[Operation, ...] = ()
    warning: str = ""

    @cached_property
    def response(self) -> bytes:
        """The AdmissionResponse as JSON, without its uid."""
        warnings = [self.warning] if self.warning else _list_warnings(self.images)
        return _encode(
            _Response(
                allowed=True,
                patch=_encode(self.operations) if self.operations else UNSET,
                patch_type="JSONPatch" if self.operations else UNSET,
                audit_annotations=self._annotate_audit() or UNSET,
                warnings=warnings or UNSET,
            )
        )

    @cached_property
    def decisions(self) -> msgspec.Raw:
        """The decisions as a JSON array, as in the log."""
        return msgspec.Raw(self._encoded_decisions)

    @cached_property
    def summary(self) -> bytes:
        """The decisions as a JSON array, on as many images as fit into `MAX_SUMMARY` bytes."""
        encoded, count = self._encoded_decisions, len(self.images)
        while len(encoded) > MAX_SUMMARY:
            count //= 2
            encoded = _describe_decisions(self.images[:count])
        return encoded

    @cached_property
    def _encoded_decisions(self) -> bytes:
        return _describe_decisions(self.images)

    @cached_property
    def totals(self) -> Totals:
        """How many images had which outcome."""
        return _add_up(self.images)

    def _annotate_audit(self) -> dict[str, str]:
        """Return the audit annotations; the API server puts the webhook's name before each key."""
        if self.outcome is ReviewOutcome.SKIPPED:
            return {"skipped": self.reason}
        if not self.images:
            return {}
        decisions = self._encoded_decisions
        if len(self.images) > MAX_AUDITED:
            decisions = _describe_decisions(self.images[:MAX_AUDITED])
        annotations = {"decisions": decisions.decode()}
        if self.outcome is ReviewOutcome.OBSERVED:
            annotations["mode"] = "observe"
        return annotations


def _describe_decisions(images: Iterable[ImageDecision]) -> bytes:
    described = [
        _DescribedDecision(
            shorten(field.name, MAX_NAME),
            shorten(decision.original, MAX_TEXT),
            decision.outcome,
            shorten(decision.reason, MAX_TEXT),
            UNSET if decision.rule is None else shorten(str(decision.rule), MAX_TEXT),
            UNSET if decision.candidate is None else decision.candidate.image,
        )
        for field, decision in images
    ]
    # A copy, as the encoder allocates more than it needs, and the console keeps many.
    return bytes(memoryview(_encode(described)))


def _list_warnings(images: Iterable[ImageDecision]) -> list[str]:
    """Return a warning for each image that needs one, within the bounds of the API server."""
    warned = [image for image in images if image.decision.outcome.needs_warning]
    warnings = [shorten(_describe_warning(image), MAX_WARNING) for image in warned[:MAX_WARNINGS]]
    if len(warned) > MAX_WARNINGS:
        warnings.append(f"mirrorhook: {len(warned) - MAX_WARNINGS} more images like these")
    return warnings


def _describe_warning(image: ImageDecision) -> str:
    field, decision = image
    return (
        f"mirrorhook: image of {shorten(field.name or field.pointer, MAX_NAME)} "
        f"{'unchanged' if decision.candidate is None else 'rewritten'}, "
        f"{decision.outcome}: {quote(decision.original)}: {decision.reason}"
    )


def _label_rule(rule: Rule | None) -> str:
    """Return the label of a rule in metrics; teams may have any number of rules."""
    if rule is None:
        return ""
    return TEAM_LABEL if rule.is_of_team else str(rule)


def _add_up(images: tuple[ImageDecision, ...]) -> Totals:
    outcomes: dict[tuple[str, str], int] = {}
    shares: dict[tuple[str, str], int] = {}
    warned = rewritten = 0
    for _, decision in images:
        outcome = decision.outcome
        candidate = None if outcome is Outcome.OBSERVED else decision.candidate
        kind = _label_rule(decision.rule), outcome
        outcomes[kind] = outcomes.get(kind, 0) + 1
        if candidate is not None and not candidate.rule.is_of_team:
            share = candidate.rule.name, candidate.mirror.target
            shares[share] = shares.get(share, 0) + 1
        if outcome.needs_warning:
            warned += 1
        elif candidate is not None:
            rewritten += 1
    return Totals(len(images), tuple(outcomes.items()), tuple(shares.items()), warned, rewritten)

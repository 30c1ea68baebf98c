"""The decision on one image, and its reason."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from webhook.core.reference import ImageReference
    from webhook.core.rules import Mirror, Rule

    # The rules that were applied one after the other, each with the mirror that it gave.
    Steps: TypeAlias = tuple[tuple[Rule, Mirror], ...]

__all__ = ["Candidate", "Decision", "Outcome"]


class Outcome(StrEnum):
    """The outcome for an image; also a label of the metric."""

    REWRITTEN = "rewritten"
    UNCONFIRMED = "unconfirmed"  # rewritten, though it is unknown whether it can be pulled
    OBSERVED = "observed"  # it would be rewritten, but the policy has mode: observe
    KEPT = "kept"  # by a rule with keep: true
    MIRRORED = "mirrored"  # it is at a mirror already
    UNMATCHED = "unmatched"
    LOCAL = "local"  # pull policy Never: the node has it under its own name
    INVALID = "invalid"
    LOOPING = "looping"  # its owner recreates the Pod whenever it is rewritten
    UNAVAILABLE = "unavailable"  # rules match, but none of their mirrors can be used

    @property
    def needs_warning(self) -> bool:
        """Whether the user who applies the Pod should get a warning."""
        return self in _NEED_WARNING


_NEED_WARNING = frozenset(
    {Outcome.UNCONFIRMED, Outcome.INVALID, Outcome.LOOPING, Outcome.UNAVAILABLE}
)


class Candidate(NamedTuple):
    """A reference as one mirror would name it.

    Attributes:
        reference: The new name.
        steps: The rules that were applied, each with the mirror that it gave, in order.
        image: The text to write: the reference in its normal form.
    """

    reference: ImageReference
    steps: Steps
    image: str

    @property
    def rule(self) -> Rule:
        """The rule that matched the original image."""
        return self.steps[0][0]

    @property
    def mirror(self) -> Mirror:
        """The mirror that the image would be pulled from."""
        return self.steps[-1][1]

    @property
    def reason(self) -> str:
        """The chain of rules, for people."""
        steps = [f"rule {rule} → {mirror.target}" for rule, mirror in self.steps]
        return ", then ".join(steps)


class Decision(NamedTuple):
    """The decision on one image.

    Attributes:
        original: The image as it was written.
        outcome: The outcome.
        reason: Why, for people; log, warning, audit annotation and ``explain`` show the same.
        reference: The parsed image; None if the grammar rejects it.
        rule: The rule that applies, if there is one.
        candidates: The image at its mirrors, in order of preference.
        candidate: The candidate to use, or that would be used if the policy did not only observe;
            None for others that stay unchanged.
    """

    original: str
    outcome: Outcome
    reason: str
    reference: ImageReference | None = None
    rule: Rule | None = None
    candidates: tuple[Candidate, ...] = ()
    candidate: Candidate | None = None

    @property
    def image(self) -> str:
        """The image to write: that of the candidate, or else the original."""
        if self.candidate is None or self.outcome is Outcome.OBSERVED:
            return self.original
        return self.candidate.image

    def observe(self) -> Decision:
        """Return the decision of a policy with ``mode: observe``, which changes nothing."""
        if self.candidate is None:
            return self
        reason = f"mode observe changes nothing; it would be {self.candidate.image} ({self.reason})"
        return self._replace(outcome=Outcome.OBSERVED, reason=reason)

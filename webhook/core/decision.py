"""What became of one image, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

if TYPE_CHECKING:
    from webhook.core.reference import ImageReference
    from webhook.core.rules import Mirror, Rule

    # Rules, and the mirror that each of them gave, in order.
    Steps: TypeAlias = tuple[tuple[Rule, Mirror], ...]

__all__ = ["Candidate", "Decision", "Outcome"]


class Outcome(StrEnum):
    """What became of an image; also a label of the metric.

    Attributes:
        needs_warning: Whether it was decided on doubt, of which the image's owner should
            hear.
    """

    needs_warning: bool

    def __new__(cls, value: str, needs_warning: bool = False) -> Self:
        """Make a member of its value and what is known of it."""
        outcome = str.__new__(cls, value)
        outcome._value_ = value
        outcome.needs_warning = needs_warning
        return outcome

    REWRITTEN = "rewritten"
    UNCONFIRMED = "unconfirmed", True  # rewritten: nobody knows whether it is there
    KEPT = "kept"  # by a rule that says so
    MIRRORED = "mirrored"  # it names a mirror already
    UNMATCHED = "unmatched"
    LOCAL = "local"  # pull policy Never: the node has it under its own name
    INVALID = "invalid", True
    LOOPING = "looping", True  # its owner makes the Pod anew whenever it is rewritten
    UNAVAILABLE = "unavailable", True  # rules match, but no mirror of theirs can be used


class Candidate(NamedTuple):
    """An image as one mirror names it; ``str()`` is the name to write.

    Attributes:
        reference: The new name.
        steps: The rules that led there and the mirror each of them gave, in order.
        image: The name to write.
    """

    reference: ImageReference
    steps: Steps
    image: str

    @property
    def rule(self) -> Rule:
        """The rule that matched the image as it was written."""
        return self.steps[0][0]

    @property
    def mirror(self) -> Mirror:
        """The mirror that the image would come from."""
        return self.steps[-1][1]

    @property
    def reason(self) -> str:
        """The chain of rules in words."""
        steps = [f"rule {rule} → {mirror.target}" for rule, mirror in self.steps]
        return ", then ".join(steps)

    def __str__(self) -> str:
        return self.image


class Decision(NamedTuple):
    """What became of one image.

    Attributes:
        original: The image as it was written.
        outcome: What became of it.
        reason: Why, in words: the same in log, warning, audit annotation and ``explain``.
        reference: The image in its parts; None where the grammar refuses it.
        rule: The rule that matched it, if one did.
        candidates: Its names at the mirrors, the preferred first.
        candidate: The one that was chosen; None where the image stays as it is.
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
        """The image to write: the chosen candidate, else the original as it stands."""
        return self.original if self.candidate is None else self.candidate.image

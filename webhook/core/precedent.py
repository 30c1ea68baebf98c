"""A decision that holds for every tag and digest of a name.

Rules match registry and repository alone, so that the next build of an image gets what the
last one got, under its own tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.core.decision import Candidate, Decision, Outcome
from webhook.core.reference import ImageReference, is_digest, is_tag

if TYPE_CHECKING:
    from webhook.core.decision import Steps
    from webhook.core.rules import Rule

__all__ = ["Precedent", "parted", "precedent_of", "split_suffix"]

# What is invalid or has no valid name at a mirror says so of the image as a whole.
OF_THE_NAME: Final = (Outcome.REWRITTEN, Outcome.KEPT, Outcome.MIRRORED, Outcome.UNMATCHED)

# What the constructor of a named tuple does, at a third of its time.
_made = tuple.__new__


class Suffixed(NamedTuple):
    """A text that may be an image name, with what stands behind its name.

    Attributes:
        original: The text.
        name: The name as it is written.
        tag: A valid tag, or None.
        digest: A valid digest, or None; there is one of both.
    """

    original: str
    name: str
    tag: str | None
    digest: str | None


class Precedent(NamedTuple):
    """What a decision says of other images of the same name.

    Attributes:
        registry: The registry of the name.
        repository: The repository of the name.
        outcome: What becomes of them.
        reason: Why.
        rule: The rule that matches, if one does.
        names: Registry, repository, both together, and steps of each candidate.
    """

    registry: str
    repository: str
    outcome: Outcome
    reason: str
    rule: Rule | None
    names: tuple[tuple[str, str, str, Steps], ...]

    def followed(self, image: Suffixed) -> Decision:
        """Return the decision on an image whose name is written as it was here."""
        text, written, tag, digest = image
        registry, repository, outcome, reason, rule, names = self
        reference = _made(ImageReference, (registry, repository, tag, digest, text))
        if not names:
            return Decision(text, outcome, reason, reference, rule)
        suffix = text[len(written) :]
        found = []
        for at, below, base, steps in names:
            new = base + suffix
            named = _made(ImageReference, (at, below, tag, digest, new))
            found.append(_made(Candidate, (named, steps, new)))
        candidates = tuple(found)
        return _made(Decision, (text, outcome, reason, reference, rule, candidates, found[0]))


def precedent_of(decision: Decision) -> Precedent | None:
    """Return what a decision of `MirrorMap.decide` says of others of its name, if anything."""
    reference = decision.reference
    if reference is None or decision.outcome not in OF_THE_NAME:
        return None
    return Precedent(
        reference.registry,
        reference.repository,
        decision.outcome,
        decision.reason,
        decision.rule,
        tuple(
            (named.registry, named.repository, named.name, steps)
            for named, steps, _ in decision.candidates
        ),
    )


def parted(text: str) -> tuple[str, str]:
    """Split a text behind its name: before its valid tag and digest, or at its end.

    Texts with the same name are the same name when one of them is a reference at all.
    """
    # Nearly all have a tag alone.
    name, _, tag = text.rpartition(":")
    if name and is_tag(tag) and "@" not in name:
        return name, text[len(name) :]
    split = split_suffix(text)
    return (text, "") if split is None else (split.name, text[len(split.name) :])


def split_suffix(text: str) -> Suffixed | None:
    """Split a valid tag and digest off; None where there is neither, or one is not valid."""
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        return None
    name, colon, tag = rest.rpartition(":")
    if colon and "/" not in tag:
        return Suffixed(text, name, tag, digest or None) if is_tag(tag) else None
    return Suffixed(text, rest, None, digest) if at else None

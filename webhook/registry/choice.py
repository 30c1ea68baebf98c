"""Choosing among the candidates of an image by what their registries said: pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from webhook.core import InvalidReferenceError, OnUnknown, Original, Outcome
from webhook.registry.answers import Answer, Finding, Presence
from webhook.registry.question import question_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from webhook.core import Candidate, Decision, ImageReference
    from webhook.registry.question import Question

__all__ = ["Option", "choose", "options_of", "verified"]

ORIGINAL: Final = "original"
# A reason is read by people, and goes into an audit event.
MAX_TOLD: Final = 4


@dataclass(frozen=True, slots=True)
class Option:
    """One image that could be taken, and what has to be asked for that.

    Attributes:
        candidate: The image at a mirror; None for the original.
        question: Whether its registry has it.
        proofs: Images at trusted sources that it has to be the same as.
    """

    candidate: Candidate | None
    question: Question
    proofs: tuple[Question, ...] = ()


def options_of(decision: Decision) -> tuple[Option, ...]:
    """Return what could be taken for an image, in order of preference.

    The original is asked for only where it comes first: as the last resort it is
    taken whatever its registry says, and that may be out of reach.
    """
    reference, rule = decision.reference, decision.rule
    if reference is None or rule is None or not decision.candidates:
        return ()
    options = [
        Option(
            candidate,
            question_for(candidate.reference, candidate.mirror.target),
            tuple(proofs_of(candidate, reference)),
        )
        for candidate in decision.candidates
    ]
    if rule.original is Original.FIRST:
        options.insert(0, Option(None, question_for(reference, ORIGINAL)))
    return tuple(options)


def proofs_of(candidate: Candidate, reference: ImageReference) -> Iterator[Question]:
    """Yield the images that *candidate* has to be the same as.

    A digest is its own proof: whoever pulls by it sees that it is right.
    """
    if reference.digest is not None:
        return
    for rule, mirror in candidate.steps:
        if rule.verify:
            trusted = rule.trusted
            try:
                source = rule.rewrite_reference(trusted, reference) if trusted else reference
            except InvalidReferenceError:
                source = reference
            yield question_for(source, trusted.target if trusted else ORIGINAL)
        reference = rule.rewrite_reference(mirror, reference)


def verified(finding: Finding, digests: Iterable[str]) -> Finding:
    """Return *finding* in the light of the digests at trusted sources.

    Args:
        finding: What the mirror said.
        digests: What the sources said now or last; empty where none ever did.
    """
    if finding.presence is not Presence.PRESENT:
        return finding
    for digest in digests:
        if not digest:
            detail = "its trusted source has told no digest yet"
        elif not finding.digest:
            detail = "it tells no digest"
        elif digest != finding.digest:
            detail = f"{finding.digest}, and {digest} at its trusted source"
            return replace(finding, answer=Answer.MISMATCH, detail=detail)
        else:
            continue
        return replace(finding, answer=Answer.UNVERIFIED, detail=detail)
    return finding


def choose(
    decision: Decision,
    options: Sequence[Option],
    findings: Sequence[Finding | None],
    on_unknown: OnUnknown,
) -> Decision | None:
    """Return what becomes of an image.

    The first option that is there is taken. Where none is known to be, but one may be,
    *on_unknown* says what is taken. Where none is there, the original stays: whatever
    is wrong with it, it is what somebody wrote.

    Args:
        decision: The decision without regard to what is there.
        options: Its options.
        findings: What is known of each; None where an answer is still to come.
        on_unknown: What is taken on doubt.

    Returns:
        None as long as an answer matters that is still to come.
    """
    for index, (option, finding) in enumerate(zip(options, findings, strict=True)):
        if finding is None:
            return None
        if finding.presence is Presence.PRESENT:
            return taken(decision, option, told(options[:index], findings))
    return undecided(decision, options, findings, on_unknown)


def taken(decision: Decision, option: Option, before: str) -> Decision:
    """Return the decision for an option that is there.

    Args:
        decision: The decision without regard to what is there.
        option: What is there.
        before: Why no earlier option was taken; empty for the first one.
    """
    candidate = option.candidate
    if candidate is None:
        registry = option.question.reference.registry
        reason = f"rule {decision.rule} tries the original first, and {registry} has it"
        return decision._replace(outcome=Outcome.KEPT, reason=reason, candidate=None)
    if not before and candidate is decision.candidate:
        return decision
    reason = f"{candidate.reason}, as {before}" if before else candidate.reason
    return decision._replace(reason=reason, candidate=candidate)


def undecided(
    decision: Decision,
    options: Sequence[Option],
    findings: Sequence[Finding | None],
    on_unknown: OnUnknown,
) -> Decision:
    """Return the decision where no option is known to be there."""
    doubtful = [
        (option.candidate, finding)
        for option, finding in zip(options, findings, strict=True)
        if option.candidate and finding and finding.presence is Presence.UNKNOWN
    ]
    why = told(options, findings)
    never = decision.rule is not None and decision.rule.original is Original.NEVER
    if doubtful and (never or on_unknown is OnUnknown.MIRROR):
        up = [one for one, finding in doubtful if finding.answer is not Answer.DOWN]
        candidate = up[0] if up else doubtful[0][0]
        reason = f"{candidate.reason}, on doubt: {why}"
        return decision._replace(outcome=Outcome.UNCONFIRMED, reason=reason, candidate=candidate)
    reason = f"no mirror is known to have it: {why}" if doubtful else f"no mirror has it: {why}"
    return decision._replace(outcome=Outcome.UNAVAILABLE, reason=reason, candidate=None)


def told(options: Sequence[Option], findings: Sequence[Finding | None]) -> str:
    """Return what the registries said, in words."""
    words = [
        f"{option.question.reference.registry} {finding.reason}"
        for option, finding in zip(options, findings, strict=False)
        if finding is not None
    ]
    more = len(words) - MAX_TOLD
    return ", ".join(words[:MAX_TOLD]) + (f" and {more} more" if more > 0 else "")

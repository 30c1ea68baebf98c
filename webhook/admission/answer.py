"""
The answer to an AdmissionReview: always allowed, patched where images change.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from msgspec import Struct

from webhook.admission.policy import (
    Choice,
    Policy,
    Result,
    Verdict,
    judge,
    judge_asking,
)
from webhook.admission.review import AdmissionRequest, read_review
from webhook.core.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.objects import Placement

__all__ = ["Recorder", "answer", "answer_asking", "described"]

# The API server cuts every warning to 256 characters once those of a request are
# longer than 4,096 together (k8s.io/apiserver, endpoints/filters/warning.go).
MAX_WARNING: Final = 256
MAX_WARNINGS: Final = 15
# An audit event is one line of the log; a Pod of a hundred images is none of ours.
MAX_AUDITED: Final = 100

OUR_ERROR: Final = (
    "mirrorhook: internal error, the images were left as they are; "
    "the webhook's log has the traceback"
)


class Recorder(Protocol):
    """
    Who is told what became of each review: log, metrics.
    """

    def reviewed(self, policy: str, request: AdmissionRequest, verdict: Verdict) -> None:
        """
        Note one review.
        """

    def failed(self, policy: str, request: AdmissionRequest, error: Exception) -> None:
        """
        Note an error of ours, on which the Pod was left as it is.
        """


class Response(Struct, frozen=True, omit_defaults=True, rename="camel", gc=False):
    """
    An AdmissionResponse; patch and patchType are there together or not at all.
    """

    uid: str
    allowed: bool
    patch: bytes | msgspec.UnsetType = msgspec.UNSET
    patch_type: str | msgspec.UnsetType = msgspec.UNSET
    audit_annotations: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET


class ReviewAnswer(Struct, frozen=True, rename="camel", gc=False):
    """
    An AdmissionReview with a response.
    """

    api_version: str
    kind: str
    response: Response


_encode = msgspec.json.Encoder().encode


def answer(body: bytes, policy: Policy, recorder: Recorder) -> bytes:
    """
    Answer one review.

    Args:
        body: The review as the API server sent it.
        policy: The rules to apply.
        recorder: Is told what became of it.

    Returns:
        The answer, as JSON.

    Raises:
        InvalidReviewError: The body is no review. Whatever else goes wrong, the
            answer allows the Pod as it is.
    """
    version, request = read_review(body)
    try:
        response = told(request, judge(request, policy), policy, recorder)
    except Exception as error:  # noqa: BLE001 - a Pod must not suffer from our errors
        response = failed(request, error, policy, recorder)
    return _encode(ReviewAnswer(version, "AdmissionReview", response))


async def answer_asking(
    body: bytes, policy: Policy, choice: Choice, recorder: Recorder, seconds: float
) -> bytes:
    """
    Answer one review, by what mirrors have.

    Args:
        body: As of `answer`.
        policy: As of `answer`.
        choice: Chooses among candidates.
        recorder: As of `answer`.
        seconds: How long the answer can take.

    Raises:
        InvalidReviewError: As `answer`.
    """
    version, request = read_review(body)
    try:
        verdict = await judge_asking(request, policy, choice, seconds)
        response = told(request, verdict, policy, recorder)
    except Exception as error:  # noqa: BLE001 - as in answer
        response = failed(request, error, policy, recorder)
    return _encode(ReviewAnswer(version, "AdmissionReview", response))


def told(
    request: AdmissionRequest, verdict: Verdict, policy: Policy, recorder: Recorder
) -> Response:
    """
    Return the response that carries out *verdict*, of which *recorder* is told.
    """
    response = respond(request.uid, verdict)
    recorder.reviewed(policy.name, request, verdict)
    return response


def failed(
    request: AdmissionRequest, error: Exception, policy: Policy, recorder: Recorder
) -> Response:
    """
    Return the response to a review that an error of ours ended.
    """
    with suppress(Exception):
        recorder.failed(policy.name, request, error)
    return Response(request.uid, allowed=True, warnings=[OUR_ERROR])


def respond(uid: str, verdict: Verdict) -> Response:
    """
    Return the response that carries out *verdict*.
    """
    operations = verdict.operations
    return Response(
        uid,
        allowed=True,
        patch=_encode(operations) if operations else msgspec.UNSET,
        patch_type="JSONPatch" if operations else msgspec.UNSET,
        audit_annotations=audit(verdict) or msgspec.UNSET,
        warnings=warnings(verdict.placements) or msgspec.UNSET,
    )


def audit(verdict: Verdict) -> dict[str, str]:
    """
    Return what the audit event of the request says of *verdict*.

    The API server puts the webhook's name before each key.
    """
    if verdict.result is Result.SKIPPED:
        return {"skipped": verdict.reason}
    if not verdict.placements:
        return {}
    decisions = [described(placement) for placement in verdict.placements[:MAX_AUDITED]]
    notes = {"decisions": _encode(decisions).decode()}
    if verdict.result is Result.OBSERVED:
        notes["mode"] = "observe"
    return notes


def described(placement: Placement) -> dict[str, Any]:
    """
    Return one decision, as audit event and log have it.
    """
    slot, decision = placement
    entry = {
        "name": slot.name,
        "image": decision.original,
        "outcome": decision.outcome,
        "reason": decision.reason,
    }
    if decision.candidate is not None:
        entry["result"] = decision.image
    return entry


def warnings(placements: Iterable[Placement]) -> list[str]:
    """
    Return a warning for each image that was decided on doubt, within bounds.
    """
    doubtful = [
        f"mirrorhook: image of {slot.name or slot.pointer} "
        f"{'left as it is' if decision.candidate is None else 'rewritten'}, "
        f"{decision.outcome}: {quoted(decision.original)}: {decision.reason}"
        for slot, decision in placements
        if decision.outcome.is_doubtful
    ]
    texts = [shortened(text) for text in doubtful[:MAX_WARNINGS]]
    if len(doubtful) > MAX_WARNINGS:
        texts.append(f"mirrorhook: {len(doubtful) - MAX_WARNINGS} more images like these")
    return texts


def shortened(text: str) -> str:
    """
    Return *text* within the bounds of a warning.
    """
    return text if len(text) <= MAX_WARNING else f"{text[: MAX_WARNING - 1]}…"

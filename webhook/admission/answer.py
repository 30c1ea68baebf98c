"""The answer to an AdmissionReview: always allowed, patched where images change."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Protocol

import msgspec

from webhook.admission.policy import Policy, judge, judge_asking
from webhook.admission.review import VERSIONS, AdmissionRequest, read_review
from webhook.admission.verdict import Result, Verdict

__all__ = ["OUR_ERROR", "Recorder", "answer", "answer_asking"]

HEADS: Final = {
    version: (f'{{"apiVersion":"{version}","kind":"AdmissionReview","response":{{"uid":'.encode())
    for version in VERSIONS
}
OUR_ERROR: Final = Verdict(
    Result.ERROR,
    warning="mirrorhook: internal error, the images were left as they are; "
    "the webhook's log has the traceback",
)

_encode = msgspec.json.Encoder().encode


class Recorder(Protocol):
    """Who is told what became of each review: log, metrics."""

    def reviewed(self, policy: str, request: AdmissionRequest, verdict: Verdict) -> None:
        """Note one review."""

    def failed(self, policy: str, request: AdmissionRequest, error: Exception) -> None:
        """Note an error of ours, on which the Pod was left as it is."""


def answer(body: bytes, policy: Policy, recorder: Recorder) -> bytes | None:
    """Answer one review.

    Args:
        body: The review as the API server sent it.
        policy: The rules to apply.
        recorder: Is told what became of it.

    Returns:
        The answer, as JSON; None if mirrors have to be asked first.

    Raises:
        InvalidReviewError: The body is no review. Whatever else goes wrong, the
            answer allows the Pod as it is.
    """
    version, request = read_review(body)
    try:
        verdict = judge(request, policy, len(body))
        if verdict is None:
            return None
        response = verdict.response
        recorder.reviewed(policy.name, request, verdict)
    except Exception as error:  # noqa: BLE001 - a Pod must not suffer from our errors
        response = failed(request, error, policy, recorder)
    return enveloped(version, request.uid, response)


async def answer_asking(body: bytes, policy: Policy, recorder: Recorder, seconds: float) -> bytes:
    """Answer one review, by what mirrors have.

    Args:
        body: As of `answer`.
        policy: As of `answer`.
        recorder: As of `answer`.
        seconds: How long the answer can take.

    Raises:
        InvalidReviewError: As `answer`.
    """
    version, request = read_review(body)
    try:
        verdict = await judge_asking(request, policy, seconds, len(body))
        response = verdict.response
        recorder.reviewed(policy.name, request, verdict)
    except Exception as error:  # noqa: BLE001 - as in answer
        response = failed(request, error, policy, recorder)
    return enveloped(version, request.uid, response)


def failed(
    request: AdmissionRequest, error: Exception, policy: Policy, recorder: Recorder
) -> bytes:
    """Return the response to a review that an error of ours ended."""
    with suppress(Exception):
        recorder.failed(policy.name, request, error)
    return OUR_ERROR.response


def enveloped(version: str, uid: str, response: bytes) -> bytes:
    """Return the AdmissionReview with a response, which is the same for many.

    Args:
        version: The apiVersion that was asked with.
        uid: The uid of the request.
        response: A JSON object with the other fields of the response.
    """
    return b"".join((HEADS[version], _encode(uid), b",", response[1:], b"}"))

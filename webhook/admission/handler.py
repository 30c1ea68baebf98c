"""Answering an AdmissionReview: always allowed, patched where images change."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from webhook.admission.policy import apply_policy
from webhook.admission.request import VERSIONS, read_review
from webhook.admission.response import ReviewOutcome, ReviewResult

if TYPE_CHECKING:
    from webhook.admission.policy import Policy
    from webhook.admission.request import AdmissionRequest

__all__ = ["INTERNAL_ERROR", "Recorder", "review"]

ENVELOPES: Final = {
    version: f'{{"apiVersion":"{version}","kind":"AdmissionReview","response":{{"uid":'.encode()
    for version in VERSIONS
}
INTERNAL_ERROR: Final = ReviewResult(
    ReviewOutcome.ERROR,
    warning="mirrorhook: internal error, no image was changed; see the log of the webhook",
)

_encode = msgspec.json.Encoder().encode


class Recorder(Protocol):
    """Records the result of each review, in logs and metrics."""

    def record_review(self, policy: str, request: AdmissionRequest, result: ReviewResult) -> None:
        """Record one review."""

    def record_error(self, policy: str, request: AdmissionRequest, error: Exception) -> None:
        """Record an internal error, after which the Pod was admitted unchanged."""


async def review(
    body: bytes, policy: Policy, recorder: Recorder, seconds: float, client: str = ""
) -> bytes:
    """Answer an AdmissionReview.

    It waits only if the policy has a selector that has to ask registries first.

    Args:
        body: The review as the API server sent it.
        policy: The policy to apply.
        recorder: Records the result.
        seconds: How long the answer may take.
        client: The address that the review came from.

    Returns:
        The AdmissionReview with its response, as JSON. On an internal error it
        allows the Pod unchanged.

    Raises:
        InvalidReviewError: The body is not an AdmissionReview.
    """
    version, request = read_review(body)
    try:
        if policy.find_variant is not None:
            policy = policy.find_variant(request.namespace or "") or policy
        result = await apply_policy(policy, request, seconds, client)
        response = result.response
        recorder.record_review(policy.name, request, result)
    except Exception as error:  # noqa: BLE001 - a Pod must not suffer from an error of the webhook
        with suppress(Exception):
            recorder.record_error(policy.name, request, error)
        response = INTERNAL_ERROR.response
    return b"".join((ENVELOPES[version], _encode(request.uid), b",", response[1:], b"}"))

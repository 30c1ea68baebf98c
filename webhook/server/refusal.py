"""Answers to requests that are no reviews: an HTTP status and a sentence."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

__all__ = ["RefusalError", "status_body"]

REASONS: Final = {
    400: "BadRequest",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "Timeout",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    431: "RequestHeaderFieldsTooLarge",
    503: "ServiceUnavailable",
}


class RefusalError(Exception):
    """A request that gets no review.

    Args:
        code: HTTP status.
        message: A sentence for whoever sent it.
        headers: Headers of the answer, besides those of every answer.
    """

    def __init__(self, code: int, message: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = headers


def status_body(code: int, message: str) -> bytes:
    """Return the body of a refusal: a Kubernetes ``Status``, as the API server reads it.

    Args:
        code: HTTP status.
        message: What is wrong.
    """
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": REASONS.get(code, HTTPStatus(code).phrase),
        "code": code,
    }
    return json.dumps(status).encode()

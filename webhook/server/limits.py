"""The limits of a request: the size of its body, how many are read at once, and its deadline."""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from webhook.core.errors import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope

__all__ = ["BodyReader", "DisconnectedError", "RequestError", "encode_status", "parse_timeout"]

# Two objects of 3 MiB, which is the API server's own limit, and one for the rest.
MAX_BODY: Final = 7 * 1024 * 1024
# All bodies together, from their first byte until they are answered. A text with one wide character
# takes four times its bytes when it is read: so they fit into the memory of a small replica.
MAX_BUFFERED: Final = 32 * 1024 * 1024
MAX_IN_HAND: Final = 512

JSON: Final = b"application/json"
RETRY: Final = {"Retry-After": "1"}
# The reasons of k8s.io/apimachinery, pkg/apis/meta/v1.
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
# The API server sends what is left of its deadline, as a Go duration that is rounded up
# to a second (k8s.io/apiserver, pkg/util/webhook).
TIMEOUT: Final = re.compile(rb"(?:^|&)timeout=((?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h))+)(?:&|$)")
PART: Final = re.compile(rb"(\d+(?:\.\d+)?)(ms|s|m|h)")
UNITS: Final = {b"ms": 0.001, b"s": 1.0, b"m": 60.0, b"h": 3600.0}
# For the network, and for the rounding.
MARGIN: Final = 0.5


class RequestError(Exception):
    """A request that is refused.

    Args:
        code: HTTP status.
        message: A sentence for the client.
        headers: Headers of the answer, besides those of every answer.
    """

    def __init__(self, code: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = headers or {}


class DisconnectedError(Exception):
    """The client went away before its request was complete."""


class BodyReader:
    """Reads the bodies of reviews, and limits how many bytes of them there are at once."""

    def __init__(self) -> None:
        self._in_hand = 0
        self._buffered = 0

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of a request; `release` must follow when it is answered.

        Raises:
            RequestError: It is too large, not JSON, or too much at once.
            DisconnectedError: The client went away before it was complete.
        """
        headers = dict(scope["headers"])
        if int(headers.get(b"content-length", b"0")) > MAX_BODY:
            raise _size_error()
        content_type = headers.get(b"content-type", b"")
        if content_type != JSON and _media_type(content_type) != JSON:
            shown = quote(content_type.decode("latin-1"))
            raise RequestError(415, f"content type is {shown}, not application/json")
        if self._in_hand >= MAX_IN_HAND:
            raise _overload_error()
        self._in_hand += 1
        try:
            message = await receive()
            body: bytes = message.get("body", b"")
            if message.get("more_body"):
                body = await self._read_parts(body, receive)
        finally:
            self._in_hand -= 1
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        if len(body) > MAX_BODY:
            raise _size_error()
        if self._buffered + len(body) > MAX_BUFFERED:
            raise _overload_error()
        self._buffered += len(body)
        return body

    def release(self, body: bytes) -> None:
        """Stop counting a body that was read."""
        self._buffered -= len(body)

    async def _read_parts(self, first: bytes, receive: Receive) -> bytes:
        parts = []
        size = 0
        part, more = first, True
        try:
            while True:
                parts.append(part)
                size += len(part)
                self._buffered += len(part)
                if size > MAX_BODY:
                    raise _size_error()
                if self._buffered > MAX_BUFFERED:
                    raise _overload_error()
                if not more:
                    return b"".join(parts)
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise DisconnectedError
                part, more = message.get("body", b""), message.get("more_body", False)
        finally:
            self._buffered -= size


@lru_cache(maxsize=64)
def parse_timeout(query: bytes) -> float:
    """Return for how many seconds the API server waits for an answer, with a margin taken off.

    Args:
        query: The query of the URL. Without a timeout in it the result is infinite.
    """
    found = TIMEOUT.search(query)
    if found is None:
        return math.inf
    parts = PART.findall(found[1])
    return max(0.0, sum(float(number) * UNITS[unit] for number, unit in parts) - MARGIN)


def encode_status(code: int, message: str) -> bytes:
    """Return the body of a refusal: a Kubernetes ``Status``, which the API server reads."""
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


def _media_type(content_type: bytes) -> bytes:
    return content_type.partition(b";")[0].strip().lower()


def _size_error() -> RequestError:
    return RequestError(413, f"the body is larger than {MAX_BODY} bytes")


def _overload_error() -> RequestError:
    # With Retry-After the API server tries again within its deadline (client-go).
    return RequestError(503, "too many reviews at once; try again", RETRY)

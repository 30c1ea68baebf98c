"""The limits of a request: the size of its body, how many are read at once, and its deadline."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from webhook.core import parse_duration
from webhook.core.errors import quote
from webhook.core.settings import DURATION

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from starlette.types import Receive, Scope

__all__ = [
    "BodyReader",
    "DisconnectedError",
    "HeldBody",
    "OverloadError",
    "RequestError",
    "encode_status",
    "parse_timeout",
]

# Two objects of 3 MiB, which is the API server's own limit, and one for the rest.
MAX_BODY: Final = 7 * 1024 * 1024
# All bodies together, from their first byte until they are answered. A text with one wide character
# takes four times its bytes when it is read: so they fit into the memory of a small replica.
MAX_BUFFERED: Final = 32 * 1024 * 1024

JSON: Final = b"application/json"
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
TIMEOUT: Final = re.compile(rf"(?:^|&)timeout=({DURATION.pattern})(?:&|$)".encode())
# Nobody waits longer: it is a mistake.
MAX_SECONDS: Final = 1e9
# Seconds for the network, and for the rounding.
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


class OverloadError(RequestError):
    """Too many bodies are held at once."""

    def __init__(self) -> None:
        # With Retry-After the API server tries again within its deadline (client-go).
        super().__init__(503, "too many reviews at once; try again", {"Retry-After": "1"})


class DisconnectedError(Exception):
    """The client went away before its request was complete."""


@dataclass(slots=True, eq=False)
class HeldBody:
    """A body that is read or answered.

    Attributes:
        client: Whose it is.
        task: Is cancelled to refuse it.
        size: Its bytes so far.
        is_refused: Whether it was refused to make room for others.
    """

    client: str
    task: asyncio.Task[None] | None
    size: int = 0
    is_refused: bool = False


class BodyReader:
    """Reads the bodies of reviews, and limits how many bytes are held at once."""

    def __init__(self) -> None:
        self._held: set[HeldBody] = set()
        self._size = 0

    async def read(self, body: HeldBody, scope: Scope, receive: Receive) -> bytes:
        """Read the body of a request, which counts as held until it is released.

        Raises:
            RequestError: It is too large or not JSON, or too many bodies are held at once.
            DisconnectedError: The client went away before it was complete.
        """
        content_types = []
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > MAX_BODY:
                raise _size_error()
            if name == b"content-type":
                content_types.append(value)
        if content_types != [JSON]:
            _check_content_type(b", ".join(content_types))
        self._held.add(body)
        parts = []
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise DisconnectedError
            part: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            parts.append(part)
            body.size += len(part)
            self._size += len(part)
            if body.size > MAX_BODY:
                raise _size_error()
            while self._size > MAX_BUFFERED:
                self._make_room(body)
        return b"".join(parts)

    def release(self, body: HeldBody) -> None:
        """Count a body no longer."""
        if body in self._held:
            self._held.discard(body)
            self._size -= body.size

    def _make_room(self, body: HeldBody) -> None:
        """Refuse the largest body of the client that holds the most bytes.

        Raises:
            RequestError: *body* is from that client, or was refused meanwhile.
        """
        sizes: Counter[str] = Counter()
        for each in self._held:
            sizes[each.client] += each.size
        client, _ = max(sizes.items(), key=itemgetter(1))
        if body not in self._held or body.client == client:
            raise OverloadError
        own = [each for each in self._held if each.client == client]
        largest = max(own, key=lambda each: each.size)
        largest.is_refused = True
        if largest.task is not None:
            largest.task.cancel()
        self.release(largest)


@lru_cache(maxsize=64)
def parse_timeout(query: bytes) -> float:
    """Return for how many seconds the API server waits for an answer, with a margin taken off.

    Args:
        query: The query of the URL. Without a timeout in it the result is infinite.
    """
    found = TIMEOUT.search(query)
    seconds = parse_duration(found[1].decode()) if found else None
    if seconds is None or seconds > MAX_SECONDS:
        return math.inf
    return max(0.0, seconds - MARGIN)


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


def _check_content_type(content_type: bytes) -> None:
    # Two fields, or two types in one, do not say which it is.
    if b"," in content_type or content_type.partition(b";")[0].strip().lower() != JSON:
        shown = quote(content_type.decode("latin-1"))
        raise RequestError(415, f"content type is {shown}, not application/json")


def _size_error() -> RequestError:
    return RequestError(413, f"the body is larger than {MAX_BODY} bytes")

"""
``POST /mutate`` and ``POST /mutate/<policy>``: the one route that every Pod waits for.

It is plain ASGI. The router and the middleware of a framework would cost half as
much again as reading the review and answering it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.admission import InvalidReviewError, answer, answer_asking
from webhook.server.patience import patience
from webhook.server.refusal import RefusalError, status_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from webhook.admission import Policy, Recorder
    from webhook.server.readiness import Readiness
    from webhook.telemetry import Log, Metrics

__all__ = ["ADMISSION_PATH", "AdmissionEndpoint"]

ADMISSION_PATH: Final = "/mutate"
NAME_BEGINS: Final = len(ADMISSION_PATH) + 1
DEFAULT_POLICY: Final = "default"

# Two objects of 3 MiB, which is what the API server takes, and one for the rest.
MAX_BODY: Final = 7 * 1024 * 1024
# What all requests in hand may hold together, within the memory of a small replica.
MAX_BUFFERED: Final = 64 * 1024 * 1024
MAX_IN_HAND: Final = 512

JSON: Final = b"application/json"
JSON_HEADER: Final = (b"content-type", JSON)
CLOSE_HEADER: Final = (b"connection", b"close")
RETRY_HEADER: Final = (b"retry-after", b"1")


class DisconnectedError(Exception):
    """
    The client went away before its request was whole.
    """


class AdmissionEndpoint:
    """
    The admission route as an ASGI application.

    Args:
        policies: Gives the policies by name, as they are now.
        recorder: Is told what became of each review.
        readiness: Says when the process is about to end.
        metrics: Counts.
        log: Notes refusals.
        clock: Gives seconds since the epoch.
        stopwatch: Gives seconds that only grow.
    """

    def __init__(
        self,
        *,
        policies: Callable[[], Mapping[str, Policy]],
        recorder: Recorder,
        readiness: Readiness,
        metrics: Metrics,
        log: Log,
        clock: Callable[[], float],
        stopwatch: Callable[[], float],
    ) -> None:
        self._policies = policies
        self._recorder = recorder
        self._readiness = readiness
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._stopwatch = stopwatch
        self._in_hand = 0
        self._buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Answer one request.
        """
        stopwatch, recorder = self._stopwatch, self._recorder
        status, headers = 200, [JSON_HEADER]
        arrived = stopwatch()
        try:
            policy = self._policy(scope)
            body = await self._body(scope, receive)
            began = stopwatch()
            choice = policy.choice
            if choice is None:
                content = answer(body, policy, recorder)
            else:
                left = patience(scope["query_string"]) - (began - arrived)
                content = await answer_asking(body, policy, choice, recorder, left)
            self._metrics.answered(stopwatch() - began, self._clock())
        except InvalidReviewError as error:
            status, content = 400, self._refused(scope, 400, str(error))
        except RefusalError as error:
            status = error.code
            content = self._refused(scope, error.code, error.message)
            headers += error.headers
        except DisconnectedError:
            return
        if self._readiness.draining:
            headers.append(CLOSE_HEADER)
        headers.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _refused(self, scope: Scope, code: int, message: str) -> bytes:
        self._metrics.refused(code)
        client = scope.get("client")
        self._log.warning(
            "request refused",
            code=code,
            reason=message,
            path=scope["path"],
            client=client[0] if client else "",
        )
        return status_body(code, message)

    def _policy(self, scope: Scope) -> Policy:
        policies = self._policies()
        path: str = scope["path"]
        policy = policies.get(path[NAME_BEGINS:] or DEFAULT_POLICY)
        if policy is None or len(path) == NAME_BEGINS:
            known = ", ".join(policies)
            raise RefusalError(404, f"there is no policy at {path}; policies: {known}")
        if scope["method"] != "POST":
            problem = f"{scope['method']} is not allowed here; send a review by POST"
            raise RefusalError(405, problem, (b"allow", b"POST"))
        return policy

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        headers = dict(scope["headers"])
        if int(headers.get(b"content-length", b"0")) > MAX_BODY:
            raise too_large()
        content_type = headers.get(b"content-type", b"")
        if content_type != JSON and mime_type(content_type) != JSON:
            shown = content_type.decode("latin-1")
            raise RefusalError(415, f"content type is {shown!r}, not application/json")
        if self._in_hand >= MAX_IN_HAND:
            raise overloaded()
        self._in_hand += 1
        try:
            message = await receive()
            if message.get("more_body"):
                return await self._joined(message.get("body", b""), receive)
        finally:
            self._in_hand -= 1
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        body: bytes = message.get("body", b"")
        if len(body) > MAX_BODY:
            raise too_large()
        return body

    async def _joined(self, first: bytes, receive: Receive) -> bytes:
        """
        Return a body that comes in parts; all of those together are bounded as well.
        """
        parts = []
        size = 0
        part, more = first, True
        try:
            while True:
                parts.append(part)
                size += len(part)
                self._buffered += len(part)
                if size > MAX_BODY:
                    raise too_large()
                if self._buffered > MAX_BUFFERED:
                    raise overloaded()
                if not more:
                    return b"".join(parts)
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise DisconnectedError
                part, more = message.get("body", b""), message.get("more_body", False)
        finally:
            self._buffered -= size


def mime_type(content_type: bytes) -> bytes:
    """
    Return a content type without its parameters.
    """
    return content_type.partition(b";")[0].strip().lower()


def too_large() -> RefusalError:
    """
    Return the refusal of a body that is too large.
    """
    return RefusalError(413, f"the body is larger than {MAX_BODY} bytes")


def overloaded() -> RefusalError:
    """
    Return the refusal for want of room: the API server tries again in its deadline.
    """
    return RefusalError(503, "too many reviews at once; try again", RETRY_HEADER)

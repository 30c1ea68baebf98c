"""The HTTP surface of the webhook: ``POST /mutate`` and ``POST /mutate/<policy>``.

| request                                          | answer                           |
|--------------------------------------------------|----------------------------------|
| a review                                         | 200, an AdmissionReview          |
| not JSON, or not an AdmissionReview v1 or v1beta1| 400                              |
| unknown policy, or any other path                | 404                              |
| another method than POST                         | 405 with ``Allow: POST``         |
| a body over 7 MiB                                | 413                              |
| a content type other than application/json       | 415                              |
| too many at once                                 | 503 with ``Retry-After: 1``      |

Every refusal is a Kubernetes ``Status`` in JSON, with a sentence that says what is wrong.
`webhook.server.http` limits what comes before a request is complete: 400, 408 and 431.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from webhook import __version__
from webhook.admission import InvalidReviewError, review
from webhook.server.limits import (
    BodyReader,
    DisconnectedError,
    RequestError,
    parse_timeout,
    status_body,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from webhook.admission import Policy, Recorder
    from webhook.server.readiness import Readiness
    from webhook.telemetry import Log, Metrics, Tracing

__all__ = ["AdmissionWebhook", "create_app"]

PATH: Final = "/mutate"
POLICY_PREFIX: Final = f"{PATH}/"
DEFAULT_POLICY: Final = "default"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class AdmissionWebhook:
    """The parts of the process that answer reviews.

    Attributes:
        policies: Returns the policies in use, by name.
        recorder: Records the result of each review.
        readiness: Knows whether the process is shutting down.
        metrics: Counts refusals and measures durations.
        log: Logs refusals.
        clock: Returns seconds since the epoch.
        stopwatch: Returns monotonic seconds.
        bodies: Reads the bodies of requests.
    """

    policies: Callable[[], Mapping[str, Policy]]
    recorder: Recorder
    readiness: Readiness
    metrics: Metrics
    log: Log
    clock: Callable[[], float]
    stopwatch: Callable[[], float]
    bodies: BodyReader = field(default_factory=BodyReader)

    async def review(self, scope: Scope, receive: Receive) -> bytes:
        """Return the answer to the review in a request.

        Raises:
            RequestError: The request is refused.
            DisconnectedError: The client went away.
        """
        arrived = self.stopwatch()
        policy = self.find_policy(scope["path"])
        body = await self.bodies.read(scope, receive)
        began = self.stopwatch()
        try:
            left = parse_timeout(scope["query_string"]) - (began - arrived)
            content = await review(body, policy, self.recorder, left)
        except InvalidReviewError as error:
            raise RequestError(400, str(error)) from None
        self.metrics.observe_review(self.stopwatch() - began, self.clock())
        return content

    def find_policy(self, path: str) -> Policy:
        """Return the policy that is served at *path*.

        Raises:
            RequestError: There is none.
        """
        policies = self.policies()
        name = DEFAULT_POLICY if path == PATH else path.removeprefix(POLICY_PREFIX)
        policy = policies.get(name)
        if policy is None:
            known = ", ".join(policies)
            raise RequestError(404, f"there is no policy at {path}; policies: {known}")
        return policy

    def record_refusal(self, request: Request, error: RequestError) -> None:
        """Count and log a refused request."""
        self.metrics.count_refusal(error.code)
        self.log.warning(
            "request refused",
            code=error.code,
            reason=error.message,
            path=request.scope["path"],
            client=request.client.host if request.client else "",
        )


def create_app(webhook: AdmissionWebhook, tracing: Tracing | None = None) -> FastAPI:
    """Return the application that serves the webhook's port.

    Args:
        webhook: Answers the reviews.
        tracing: Where spans go; None for no spans.
    """
    app = _ReviewsFirst(
        title="mirrorhook",
        version=__version__,
        openapi_url=None,
        telemetry={
            "tracing": tracing is not None,
            "tracer_provider": tracing.provider if tracing else None,
            "operation_spans": False,
            "metrics": False,
            "logs": False,
        },
    )

    async def mutate(request: Request) -> Response:
        """Answer an AdmissionReview by the policy that the path names."""
        headers = {"Connection": "close"} if webhook.readiness.draining else {}
        try:
            content = await webhook.review(request.scope, request.receive)
        except RequestError as error:
            webhook.record_refusal(request, error)
            content = status_body(error.code, error.message)
            return Response(content, error.code, {**headers, **error.headers}, JSON)
        except DisconnectedError:
            return Response()  # nobody receives it
        return Response(content, headers=headers, media_type=JSON)

    async def refuse(request: Request, error: Exception) -> Response:
        """Refuse a request that no route answers."""
        if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            problem = f"{request.method} is not allowed here; send a review by POST"
            refusal = RequestError(405, problem, error.headers)
            webhook.record_refusal(request, refusal)
        else:
            problem = f"there is nothing at {request.url.path}; reviews go to {PATH}"
            refusal = RequestError(404, problem)
        content = status_body(refusal.code, refusal.message)
        return Response(content, refusal.code, refusal.headers, JSON)

    app.add_route(PATH, mutate, methods=["POST"])
    app.add_route(POLICY_PREFIX + "{policy:path}", mutate, methods=["POST"])
    app.add_exception_handler(HTTPException, refuse)
    if tracing is None:
        app.mutate = mutate
    return app


class _ReviewsFirst(FastAPI):
    """Hands reviews to their route before the middleware, which would cost a fifth more."""

    mutate: Callable[[Request], Awaitable[Response]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_review = path == PATH or path.startswith(POLICY_PREFIX)
        if self.mutate is not None and is_review and scope["method"] == "POST":
            response = await self.mutate(Request(scope, receive, send))
            await response(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

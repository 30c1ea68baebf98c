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
| before the first valid rules file                | 503                              |

Every refusal is a Kubernetes ``Status`` in JSON, with a sentence that says what is wrong.
`webhook.server.http` limits what comes before a request is complete: 400, 408 and 431.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Request, Response

from webhook import __version__
from webhook.admission import InvalidReviewError, review
from webhook.config.models import DEFAULT_POLICY
from webhook.server.limits import (
    BodyReader,
    DisconnectedError,
    HeldBody,
    OverloadError,
    RequestError,
    encode_status,
    parse_timeout,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.exceptions import HTTPException
    from starlette.types import Receive, Scope, Send

    from webhook.admission import Recorder
    from webhook.server.policies import PolicyStore
    from webhook.server.readiness import Readiness
    from webhook.telemetry import Log, Metrics, Tracing

__all__ = ["AdmissionWebhook", "create_app"]

PATH: Final = "/mutate"
POLICY_PREFIX: Final = f"{PATH}/"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class AdmissionWebhook:
    """The parts of the process that answer reviews.

    Attributes:
        store: Holds the policies in use.
        recorder: Records the result of each review.
        readiness: Knows whether the process is shutting down.
        metrics: Counts refusals and measures durations.
        log: Logs refusals.
        clock: Returns seconds since the epoch.
        stopwatch: Returns monotonic seconds.
        bodies: Reads the bodies of requests.
    """

    store: PolicyStore
    recorder: Recorder
    readiness: Readiness
    metrics: Metrics
    log: Log
    clock: Callable[[], float]
    stopwatch: Callable[[], float]
    bodies: BodyReader = field(default_factory=BodyReader)

    async def mutate(self, request: Request) -> Response:
        """Answer the AdmissionReview in a request by the policy that its path names."""
        arrived = self.stopwatch()
        client, _ = request.scope["client"] or ("", 0)
        held = HeldBody(client, asyncio.current_task())
        try:
            path = request.scope["raw_path"].decode("latin-1")
            policies = self.store.policies
            policy = policies.get(DEFAULT_POLICY if path == PATH else path[len(POLICY_PREFIX) :])
            if not policies:
                problem = "the rules file is invalid, and there was no valid one yet; see the log"
                return self.refuse(request, RequestError(503, problem))
            if policy is None:
                known = ", ".join(policies)
                problem = f"there is no policy at {path}; policies: {known}"
                return self.refuse(request, RequestError(404, problem))
            body = await self.bodies.read(held, request.scope, request.receive)
            began = self.stopwatch()
            seconds = parse_timeout(request.scope["query_string"]) - (began - arrived)
            content = await review(body, policy, self.recorder, seconds, client)
        except InvalidReviewError as error:
            return self.refuse(request, RequestError(400, str(error)))
        except RequestError as error:
            return self.refuse(request, error)
        except DisconnectedError:
            return Response()  # the client is gone
        except asyncio.CancelledError:
            if not held.is_refused:
                raise
            return self.refuse(request, OverloadError())
        finally:
            self.bodies.release(held)
        self.metrics.observe_review(self.stopwatch() - began, self.clock())
        return Response(content, headers=self.readiness.headers, media_type=JSON)

    def refuse(self, request: Request, error: RequestError) -> Response:
        """Count and log a request that is refused, and return the answer."""
        self.metrics.count_refusal(error.code)
        self.log.warning(
            "request refused",
            code=error.code,
            reason=error.message,
            path=request.scope["path"],
            client=request.client.host if request.client else "",
        )
        headers = {**error.headers, **(self.readiness.headers or {})}
        return Response(encode_status(error.code, error.message), error.code, headers, JSON)


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
    app.add_route(PATH, webhook.mutate, methods=["POST"])
    app.add_route(POLICY_PREFIX + "{policy:path}", webhook.mutate, methods=["POST"])

    @app.exception_handler(HTTPStatus.METHOD_NOT_ALLOWED)
    async def refuse_method(request: Request, error: HTTPException) -> Response:
        problem = f"{request.method} is not allowed here; send a review by POST"
        return webhook.refuse(request, RequestError(405, problem, error.headers))

    @app.exception_handler(HTTPStatus.NOT_FOUND)
    async def refuse_path(request: Request, _error: HTTPException) -> Response:
        problem = f"there is nothing at {request.url.path}; reviews go to {PATH}"
        return Response(encode_status(404, problem), 404, webhook.readiness.headers, JSON)

    if tracing is None:
        app.mutate = webhook.mutate
    return app


class _ReviewsFirst(FastAPI):
    """Hands reviews to their route without the middleware, which would cost a fifth more."""

    mutate: Callable[[Request], Awaitable[Response]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_review = path == PATH or path.startswith(POLICY_PREFIX)
        if self.mutate is not None and is_review and scope["method"] == "POST":
            response = await self.mutate(Request(scope, receive, send))
            await response(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

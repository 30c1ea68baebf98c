"""The application of the operations port: probes, metrics, other replicas and the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import PlainTextResponse

from webhook import __version__
from webhook.server.console.replicas import DECISIONS_PATH, MAX_QUERY
from webhook.server.console.views import (
    ReplicaState,  # noqa: TC001 - FastAPI reads the annotations
)
from webhook.tls import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import APIRouter
    from starlette.types import ASGIApp, Receive, Scope, Send

    from webhook.server.console.replicas import DecisionExchange
    from webhook.server.readiness import Readiness
    from webhook.telemetry import Metrics

__all__ = ["create_operations_app"]


def create_operations_app(
    readiness: Readiness,
    metrics: Metrics,
    *,
    own_state: Callable[[], ReplicaState] | None = None,
    exchange: DecisionExchange | None = None,
    console: APIRouter | None = None,
) -> FastAPI:
    """Return the application that serves the operations port.

    Args:
        readiness: Whether this replica should get requests.
        metrics: The metrics of this process.
        own_state: Returns the state of this replica for the others; None to have no such route.
        exchange: Tells other replicas what this one decided; None to have no such route.
        console: The routes of the console, if it is on.
    """
    # FastAPI's pages for the API description load their scripts from another host.
    app = FastAPI(
        title="mirrorhook operations",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.add_middleware(HeadAsGet)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        """Liveness and startup probe: the process answers."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        """Readiness probe: whether reviews should come here, and if not, why."""
        problems = "".join(f"{problem}\n" for problem in readiness.problems)
        return PlainTextResponse(problems or "ok\n", 503 if problems else 200)

    @app.get("/metrics", include_in_schema=False)
    async def scrape(request: Request) -> Response:
        """Metrics in the Prometheus text format, or in OpenMetrics if asked for."""
        content, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(content, headers={"content-type": content_type})

    if own_state is not None:

        @app.get("/replica")
        async def replica() -> ReplicaState:
            """Return the state of this replica, for the consoles of the others."""
            return own_state()

    if exchange is not None:

        @app.get(DECISIONS_PATH, include_in_schema=False)
        async def decisions(query: Annotated[str, Query(max_length=MAX_QUERY)]) -> Response:
            """Decisions of this replica, for the consoles of the others; encrypted."""
            try:
                return Response(await exchange.answer(query), media_type="text/plain")
            except CertificateError as error:
                raise HTTPException(403, f"only other replicas may ask: {error}") from None

    if console is not None:
        app.include_router(console)
    return app


class HeadAsGet:
    """Middleware that lets every GET route answer HEAD (RFC 9110, 9.3.2).

    FastAPI's own routes refuse HEAD. The server leaves out the body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)

"""
The two FastAPI applications: reviews over TLS, and operations in plain HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import HTTPException
from fastapi.responses import PlainTextResponse

from webhook import __version__
from webhook.server.admission import ADMISSION_PATH
from webhook.server.refusal import status_body

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.types import ASGIApp, Receive, Scope, Send

    from webhook.server.readiness import Readiness
    from webhook.telemetry import Metrics

__all__ = ["AdmissionApp", "operations_app"]


class AdmissionApp(FastAPI):
    """
    The application on the TLS port.

    Args:
        admission: Answers ``/mutate`` and everything below it.
    """

    def __init__(self, admission: ASGIApp) -> None:
        super().__init__(
            title="mirrorhook", version=__version__, openapi_url=None, docs_url=None
        )
        self._admission = admission
        self.add_exception_handler(HTTPException, refused)
        self.add_exception_handler(404, refused)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Pass reviews to the admission endpoint, past the router: it costs a third of all.
        """
        if scope["type"] == "http":
            path: str = scope["path"]
            if path == ADMISSION_PATH or path.startswith(ADMISSION_PATH + "/"):
                await self._admission(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


async def refused(request: Request, error: Exception) -> Response:
    """
    Answer a request for anything but reviews.
    """
    code = error.status_code if isinstance(error, HTTPException) else 404
    problem = f"there is nothing at {request.url.path}; reviews go to {ADMISSION_PATH}"
    return Response(status_body(code, problem), code, media_type="application/json")


def operations_app(
    readiness: Readiness, metrics: Metrics, console: APIRouter | None = None
) -> FastAPI:
    """
    Return the application on the operations port.

    Args:
        readiness: Whether this replica should get requests.
        metrics: What is to be scraped.
        console: The routes of the console; None for none.
    """
    # The pages that FastAPI has for its description load their scripts from elsewhere.
    app = FastAPI(
        title="mirrorhook operations",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    if console is not None:
        app.include_router(console)

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """
        Say that the process answers: for liveness and startup probes.
        """
        return "ok\n"

    @app.get("/readyz", response_class=PlainTextResponse)
    async def readyz() -> Response:
        """
        Say whether reviews should come here, and if not, why: for readiness probes.
        """
        problems = readiness.problems
        text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
        return PlainTextResponse(text, 503 if problems else 200)

    @app.get("/metrics")
    async def scrape(request: Request) -> Response:
        """
        Return the metrics in the Prometheus text format, or in OpenMetrics if asked for.
        """
        content, content_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(content, headers={"content-type": content_type})

    return app

"""The two FastAPI applications: reviews over TLS, and operations in plain HTTP.

They are made when the first request comes that `webhook.server.front` does not answer
itself: FastAPI takes as long to be imported as all else takes to start, and 15 MiB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import HTTPException
from starlette.routing import Route

from webhook import __version__
from webhook.server.admission import ADMISSION_PATH
from webhook.server.refusal import status_body

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.types import ASGIApp

    from webhook.server.operations import Operations

__all__ = ["operations_app", "reviews_app"]


def reviews_app(admission: ASGIApp) -> FastAPI:
    """Return the application on the TLS port.

    Args:
        admission: Answers ``/mutate`` and everything below it.
    """
    app = FastAPI(title="mirrorhook", version=__version__, openapi_url=None, docs_url=None)
    app.router.routes += [
        # What is no POST is refused by the endpoint, in words that the API server reads.
        Route(path, admission, methods=None, include_in_schema=False)
        for path in (ADMISSION_PATH, f"{ADMISSION_PATH}/{{policy:path}}")
    ]
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(404, refused)
    return app


async def refused(request: Request, error: Exception) -> Response:
    """Answer a request for anything but reviews."""
    code = error.status_code if isinstance(error, HTTPException) else 404
    problem = f"there is nothing at {request.url.path}; reviews go to {ADMISSION_PATH}"
    return Response(status_body(code, problem), code, media_type="application/json")


def operations_app(operations: Operations, console: APIRouter | None = None) -> FastAPI:
    """Return the application on the operations port.

    Args:
        operations: Answers probes, whoever collects metrics, and other replicas.
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
    app.router.routes += [
        Route(path, operations, methods=["GET"], include_in_schema=False)
        for path in operations.paths
    ]
    if console is not None:
        app.include_router(console)
    return app

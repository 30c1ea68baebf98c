"""The routes of the console: the page, its style sheet, and the same data as JSON."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from webhook.server.console.access import HEADERS, require_local_visitor
from webhook.server.console.i18n import choose_translation
from webhook.server.console.page import PageQuery, render_page
from webhook.server.console.views import (
    ExplanationView,
    ReplicaList,
    RuleView,
    StateView,
    UnknownPolicyError,
)
from webhook.server.history import MAX_RECORDS, DecisionRecord, MinuteCounts

if TYPE_CHECKING:
    from webhook.server.console.replicas import ReplicaDirectory
    from webhook.server.console.views import ConsoleViews

__all__ = ["create_console_router"]

ROWS: Final = 100
MAX_TEXT: Final = 4096
STYLE: Final = files(__package__).joinpath("console.css").read_text("utf-8")

Text = Annotated[str, Query(max_length=MAX_TEXT)]
Limit = Annotated[int, Query(ge=1, le=MAX_RECORDS)]


def create_console_router(views: ConsoleViews, directory: ReplicaDirectory) -> APIRouter:
    """Return the routes of the console.

    What takes time runs in a thread, so that reviews are not held up.

    Args:
        views: Collects what is shown.
        directory: Asks the other replicas.
    """
    router = APIRouter(dependencies=[Depends(require_local_visitor)])

    @router.get("/", include_in_schema=False)
    async def page(
        request: Request,
        *,
        lang: Text = "",
        namespace: Text = "",
        outcome: Text = "",
        text: Text = "",
        image: Text = "",
        policy: Text = "default",
    ) -> Response:
        query = PageQuery(lang, namespace, outcome, text, image, policy)
        translation = choose_translation(lang, request.headers.get("accept-language", ""))
        replicas = await directory.list_replicas()
        html = await run_in_threadpool(render_page, views, replicas, query, translation, ROWS)
        return HTMLResponse(html, headers=HEADERS)

    @router.get("/console.css", include_in_schema=False)
    def style() -> Response:
        return Response(STYLE, headers=HEADERS, media_type="text/css")

    @router.get("/api/state")
    def state() -> StateView:
        """Return the state of this replica: whether it is ready, rules, certificate, version."""
        return views.get_state()

    @router.get("/api/replicas")
    async def replicas() -> ReplicaList:
        """Return all replicas and how they differ; each has a second to answer."""
        return await directory.list_replicas()

    @router.get("/api/rules")
    def rules() -> list[RuleView]:
        """Return the rules of every policy with the use and the status of their mirrors."""
        return views.list_rules()

    @router.get("/api/rewrites")
    def rewrites() -> list[MinuteCounts]:
        """Return the counts of images for each minute of the last hour."""
        return views.history.list_minutes()

    @router.get("/api/decisions")
    def decisions(
        *,
        namespace: Text = "",
        outcome: Text = "",
        text: Text = "",
        limit: Limit = ROWS,
    ) -> list[DecisionRecord]:
        """Return the latest decisions, newest first.

        `text` is a part of the image, of the candidate, or of the Pod's name.
        """
        return views.find_decisions(namespace=namespace, outcome=outcome, text=text, limit=limit)

    @router.get("/api/explain", responses={404: {"description": "No such policy"}})
    def explain(image: Text, policy: Text = "default") -> ExplanationView:
        """Return what a policy makes of an image, and why; no registry is asked."""
        try:
            return views.explain(image, policy)
        except UnknownPolicyError as error:
            raise HTTPException(404, str(error), HEADERS) from None

    return router

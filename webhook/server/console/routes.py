"""The routes of the console: the page, its style sheet, and the same data as JSON."""

from __future__ import annotations

from asyncio import gather
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from webhook.server.console.access import HEADERS, require_local_visitor
from webhook.server.console.answers import AnswerView, make_answer
from webhook.server.console.i18n import choose_translation
from webhook.server.console.page import PageQuery, render_page
from webhook.server.console.views import (
    ExplanationView,
    ReplicaList,
    RulePage,
    StateView,
    UnknownPolicyError,
)
from webhook.server.history import MinuteCounts  # noqa: TC001 - FastAPI reads the annotations
from webhook.server.pod_query import MatchRank, PodQuery

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.server.console.replicas import ReplicaDirectory
    from webhook.server.console.views import ConsoleViews

__all__ = ["create_console_router"]

MAX_PODS: Final = 200
PODS: Final = 50
MAX_RULES: Final = 1000
RULES: Final = 100
MAX_TEXT: Final = 4096
STYLE: Final = files(__package__).joinpath("console.css").read_text("utf-8")

Text = Annotated[str, Query(max_length=MAX_TEXT)]
Limit = Annotated[int, Query(ge=1, le=MAX_PODS)]
RuleLimit = Annotated[int, Query(ge=1, le=MAX_RULES)]
Offset = Annotated[int, Query(ge=0)]


def create_console_router(
    views: ConsoleViews, directory: ReplicaDirectory, clock: Callable[[], float]
) -> APIRouter:
    """Return the routes of the console.

    What takes time runs in a thread, so that reviews are not held up.

    Args:
        views: Collects what is shown.
        directory: Asks the other replicas.
        clock: Returns seconds since the epoch.
    """
    router = APIRouter(dependencies=[Depends(require_local_visitor)])

    @router.get("/", include_in_schema=False)
    async def page(
        request: Request,
        *,
        lang: Text = "",
        text: Text = "",
        problems: bool = False,
        image: Text = "",
        policy: Text = "default",
        namespace: Text = "",
        rule: Text = "",
        offset: Offset = 0,
    ) -> Response:
        query = PageQuery(lang, text, problems, image, policy, namespace, rule, offset)
        translation = choose_translation(lang, request.headers.get("accept-language", ""))
        replicas, answer = await gather(
            directory.list_replicas(),
            _find(directory, clock, PodQuery(text, problems=problems, limit=PODS)),
        )
        html = await run_in_threadpool(render_page, views, replicas, answer, query, translation)
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
    def rules(*, text: Text = "", offset: Offset = 0, limit: RuleLimit = RULES) -> RulePage:
        """Return the rules of every policy with the use and the status of their mirrors.

        `text` is a part of the rule, of its profile, object or mirror. Rules of MirrorRules come
        after those of the platform.
        """
        return views.list_rules(text, offset, limit)

    @router.get("/api/rewrites")
    def rewrites() -> list[MinuteCounts]:
        """Return the counts of images for each minute of the last hour."""
        return views.history.list_minutes()

    @router.get("/api/decisions")
    async def decisions(
        *,
        text: Text = "",
        namespace: Text = "",
        outcome: Text = "",
        problems: bool = False,
        limit: Limit = PODS,
    ) -> AnswerView:
        """Return what all replicas decided on Pods, the best match first, then the latest.

        `text` is a Pod as kubectl shows it (`web-7d4b9c6f5-x2x7k`, `shop/db-0`), an owner
        (`deployment/web`), a namespace (`shop/`), or a part of an image. `namespace` is a part of
        the namespace; with `problems` only Pods with a warning are returned.
        """
        query = PodQuery(text, namespace, outcome, problems=problems, limit=limit)
        return await _find(directory, clock, query)

    @router.get("/api/explain", responses={404: {"description": "No such policy"}})
    def explain(image: Text, policy: Text = "default", namespace: Text = "") -> ExplanationView:
        """Return what a policy makes of an image, and why; no registry is asked.

        `namespace` is that of the Pod, if it may have MirrorRules.
        """
        try:
            return views.explain(image, policy, namespace)
        except UnknownPolicyError as error:
            raise HTTPException(404, str(error), HEADERS) from None

    return router


async def _find(
    directory: ReplicaDirectory, clock: Callable[[], float], query: PodQuery
) -> AnswerView:
    time = datetime.fromtimestamp(clock(), UTC)
    result = await directory.find_pods(query)
    selections = {}
    if not any(each.match <= MatchRank.OWNER for each in result.found.pods):
        selections = await directory.describe_selections(result.found.namespaces, query.pod_name)
    return make_answer(result, time, selections, query.pod_name)

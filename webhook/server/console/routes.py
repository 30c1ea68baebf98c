"""The routes of the console: the page, its style, and the same data as JSON."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from webhook.server.console.board import UnknownPolicyError
from webhook.server.console.filter import Filter
from webhook.server.console.page import Asked, page
from webhook.server.console.values import (  # noqa: TC001 - FastAPI reads the annotations
    DecisionRow,
    Explanation,
    MinuteRow,
    RuleRow,
    State,
)
from webhook.server.console.visitors import HEADERS, admit
from webhook.server.console.words import words_for
from webhook.server.history import MAX_NOTES
from webhook.server.replicas import (  # noqa: TC001 - FastAPI reads the annotations
    Replicas,
)

if TYPE_CHECKING:
    from webhook.server.console.board import Board
    from webhook.server.replicas import Neighbours

__all__ = ["console_routes"]

ROWS: Final = 100
MAX_IMAGE: Final = 4096
STYLE: Final = files(__package__).joinpath("console.css").read_text("utf-8")

Text = Annotated[str, Query(max_length=MAX_IMAGE)]
Limit = Annotated[int, Query(ge=1, le=MAX_NOTES)]


def console_routes(board: Board, neighbours: Neighbours) -> APIRouter:
    """Return the routes of the console, and the one by which replicas ask each other.

    What takes time works in threads: reviews go on while a page is made.

    Args:
        board: Gathers what is shown.
        neighbours: Looks at all replicas.
    """
    router = APIRouter(dependencies=[Depends(admit)])

    @router.get("/", include_in_schema=False)
    async def console(
        request: Request,
        *,
        lang: Text = "",
        namespace: Text = "",
        outcome: Text = "",
        text: Text = "",
        image: Text = "",
        policy: Text = "default",
    ) -> Response:
        words = words_for(lang, request.headers.get("accept-language", ""))
        asked = Asked(lang, Filter(namespace, outcome, text), image, policy)
        replicas = await neighbours.look()
        made = await run_in_threadpool(page, board, replicas, asked, words, ROWS)
        return HTMLResponse(made, headers=HEADERS)

    @router.get("/console.css", include_in_schema=False)
    def style() -> Response:
        return Response(STYLE, headers=HEADERS, media_type="text/css")

    @router.get("/api/state")
    def state() -> State:
        """Return the state of this replica: ready or why not, rules, certificate, version."""
        return board.state()

    @router.get("/api/replicas")
    async def replicas() -> Replicas:
        """Return all replicas: version, rules, certificate, ready or not, and differences.

        Each is asked now, and one that does not answer within a second is told as such.
        """
        return await neighbours.look()

    @router.get("/api/rules")
    def rules() -> list[RuleRow]:
        """Return the rules of every policy, their mirrors, and what is known of those."""
        return board.rule_rows()

    @router.get("/api/rewrites")
    def rewrites() -> list[MinuteRow]:
        """Return how many images were rewritten or left alone in each minute of an hour."""
        return board.minutes()

    @router.get("/api/decisions")
    def decisions(
        *,
        namespace: Text = "",
        outcome: Text = "",
        text: Text = "",
        limit: Limit = ROWS,
    ) -> list[DecisionRow]:
        """Return the latest decisions, the latest first.

        `text` is a part of the image, of the candidate or of the Pod's name.
        """
        return board.decisions(Filter(namespace, outcome, text), limit)

    @router.get("/api/explain", responses={404: {"description": "No such policy"}})
    def explain(image: Text, policy: Text = "default") -> Explanation:
        """Return what would become of an image: every rule considered, and the candidates.

        No registry is asked.
        """
        try:
            return board.explain(image, policy)
        except UnknownPolicyError as error:
            raise HTTPException(404, str(error), HEADERS) from None

    return router

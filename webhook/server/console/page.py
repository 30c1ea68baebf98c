"""The page: state, replicas, one image explained, the last hour, decisions and rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from webhook.admission import ReviewOutcome
from webhook.core import MatchKind, Outcome
from webhook.objects import OPT_OUT
from webhook.server.console.i18n import LANGUAGES
from webhook.server.console.views import UnknownPolicyError
from webhook.server.mirror_health import MirrorState

if TYPE_CHECKING:
    from jinja2 import Environment

    from webhook.server.console.i18n import Translation
    from webhook.server.console.views import ConsoleViews, ReplicaList

__all__ = ["PageQuery", "find_axis_maximum", "render_page"]

BADGE_CLASSES: Final = {
    Outcome.REWRITTEN: "good",
    Outcome.UNCONFIRMED: "warning",
    Outcome.UNAVAILABLE: "bad",
    Outcome.INVALID: "bad",
    Outcome.LOOPING: "bad",
    ReviewOutcome.ERROR: "bad",
    MatchKind.APPLIES: "good",
    MatchKind.FOLLOWS: "good",
    MatchKind.SHADOWED: "warning",
    MirrorState.ANSWERS: "good",
    MirrorState.FAILING: "warning",
    MirrorState.DOWN: "bad",
    "ready": "good",
    "not-ready": "bad",
    "no-answer": "bad",
}


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a visitor asked for: a language, a filter of decisions, an image to explain."""

    lang: str = ""
    namespace: str = ""
    outcome: str = ""
    text: str = ""
    image: str = ""
    policy: str = "default"


def render_page(
    views: ConsoleViews, replicas: ReplicaList, query: PageQuery, t: Translation, limit: int
) -> str:
    """Return the page as HTML.

    Args:
        views: Collects what is shown.
        replicas: All known replicas.
        query: What the visitor asked for.
        t: The language of the page.
        limit: How many decisions to show at most.
    """
    state = views.get_state()
    minutes = views.history.list_minutes()
    explanation, problem = None, ""
    if image := query.image.strip():
        try:
            explanation = views.explain(image, query.policy)
        except UnknownPolicyError as error:
            problem = str(error)
    decisions = views.find_decisions(
        namespace=query.namespace, outcome=query.outcome, text=query.text, limit=limit
    )
    outcomes = (*Outcome, ReviewOutcome.SKIPPED, ReviewOutcome.ERROR)
    return (
        _load_templates()
        .get_template("page.html")
        .render(
            t=t,
            languages=LANGUAGES,
            badge_classes=BADGE_CLASSES,
            opt_out=OPT_OUT,
            query=query,
            state=state,
            replicas=replicas,
            policy_names=[(each.name, each.name) for each in state.policies],
            explanation=explanation,
            problem=problem,
            minutes=minutes,
            axis_maximum=find_axis_maximum(
                max(each.rewritten + each.unchanged + each.warned for each in minutes)
            ),
            outcome_names=[("", t("any")), *((each.value, t(each.value)) for each in outcomes)],
            decisions=decisions,
            rules=views.list_rules(),
        )
    )


def find_axis_maximum(value: int) -> int:
    """Return where an axis ends: the next of 2, 4, 6, 8, 10, 20, 40 and so on."""
    size = 1
    while size * 10 < value:
        size *= 10
    return next((n * size for n in (2, 4, 6, 8, 10) if n * size >= value), size * 10)


@cache
def _load_templates() -> Environment:
    # It takes 2 MiB, and most replicas never show their console.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

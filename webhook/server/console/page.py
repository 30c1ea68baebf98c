"""The page: a search for Pods, one image explained, state, replicas, the last hour and rules."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from webhook.admission import ReviewOutcome
from webhook.core import MatchKind, Outcome
from webhook.core.reference import MAX_IMAGE
from webhook.objects import OPT_OUT
from webhook.server.console.i18n import LANGUAGES
from webhook.server.console.views import UnknownPolicyError
from webhook.server.mirror_health import MirrorState
from webhook.server.pod_query import PodQuery

if TYPE_CHECKING:
    from jinja2 import Environment

    from webhook.server.console.answers import AnswerView
    from webhook.server.console.i18n import Translation
    from webhook.server.console.views import ConsoleViews, ReplicaList

__all__ = ["PageQuery", "find_axis_maximum", "render_page"]

RULE_ROWS: Final = 50
# What no Pod, owner or namespace has in its name: a tag, a digest, or a registry with a path.
IMAGE: Final = re.compile(r"\S+[:@]\S+$|[^\s/]+[.:][^\s/]+/\S+$|localhost/\S+$")

BADGE_CLASSES: Final = {
    Outcome.REWRITTEN: "good",
    Outcome.UNCONFIRMED: "warning",
    Outcome.OBSERVED: "warning",
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
    """What a visitor asked for: a language, a search, an image to explain, a page of the rules."""

    lang: str = ""
    text: str = ""
    problems: bool = False
    image: str = ""
    policy: str = "default"
    namespace: str = ""
    rule: str = ""
    offset: int = 0

    def link(self, **changes: str | int | bool) -> str:
        """Return the address of the page with this query, except for *changes*."""
        values = {name: value for name, value in {**asdict(self), **changes}.items() if value}
        if values.get("policy") == "default":
            del values["policy"]
        return f"/?{urlencode(values)}"


def render_page(
    views: ConsoleViews,
    replicas: ReplicaList,
    answer: AnswerView,
    query: PageQuery,
    t: Translation,
) -> str:
    """Return the page as HTML.

    Args:
        views: Collects what is shown.
        replicas: All known replicas.
        answer: The Pods that were searched for.
        query: What the visitor asked for.
        t: The language of the page.
    """
    state = views.get_state()
    minutes = views.history.list_minutes()
    explanation, problem = None, ""
    image = query.image.strip() or _find_image(query.text, answer)
    if image:
        try:
            explanation = views.explain(image, query.policy, query.namespace.strip())
        except UnknownPolicyError as error:
            problem = str(error)
    return (
        _load_templates()
        .get_template("page.html")
        .render(
            t=t,
            languages=LANGUAGES,
            badge_classes=BADGE_CLASSES,
            opt_out=OPT_OUT,
            query=query,
            image=image,
            pod_name=PodQuery(query.text).pod_name,
            state=state,
            replicas=replicas,
            answer=answer,
            policy_names=[(each.name, each.name) for each in state.policies],
            explanation=explanation,
            problem=problem,
            minutes=minutes,
            axis_maximum=find_axis_maximum(
                max(each.rewritten + each.unchanged + each.warned for each in minutes)
            ),
            rule_rows=RULE_ROWS,
            has_objects=views.rules.effective is not None,
            rules=views.list_rules(query.rule, query.offset, RULE_ROWS),
        )
    )


def _find_image(text: str, answer: AnswerView) -> str:
    """Return the text if it is an image rather than anything else; empty if it is not."""
    if any(each.match in ("pod", "owner", "namespace") for each in answer.pods):
        return ""
    image = text.strip()
    # The expression takes a tenth of a second for a few thousand colons.
    return image if len(image) <= MAX_IMAGE and IMAGE.match(image) else ""


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

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["translate"] = lambda reason, t: t.reason(reason)
    return environment

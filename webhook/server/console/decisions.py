"""The latest decisions with their filters, as a section of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.core import Outcome
from webhook.server.console.forms import choice, field, form
from webhook.server.console.markup import Markup, tag
from webhook.server.console.state import unreached
from webhook.server.console.table import NONE, badge, code, section, table, time
from webhook.server.history import ERROR, SKIPPED

if TYPE_CHECKING:
    from webhook.server.console.board import Board
    from webhook.server.console.markup import Child
    from webhook.server.console.page import Asked
    from webhook.server.console.values import DecisionRow
    from webhook.server.console.words import Words

__all__ = ["decisions_section"]

OUTCOMES: Final = (*map(str, Outcome), SKIPPED, ERROR)


def decisions_section(board: Board, asked: Asked, words: Words, rows: int) -> Markup:
    """Return the section: filters, and the decisions that pass them."""
    wanted = asked.wanted
    found = board.decisions(wanted, rows)
    kept = {"lang": asked.lang, "image": asked.image, "policy": asked.policy}
    filters = form(
        "#decisions",
        words("Show"),
        kept,
        field("namespace", words("Namespace"), wanted.namespace),
        choice(
            "outcome",
            words("Outcome"),
            {"": words("any"), **{each: words(each) for each in OUTCOMES}},
            wanted.outcome,
        ),
        field("text", words("Image or Pod contains"), wanted.text),
    )
    heads = [
        words(head) for head in ("Time", "Namespace", "Pod", "Image", "Outcome", "Rule", "Reason")
    ]
    shown = (
        table(
            words("The latest {count}, the latest first", count=len(found)),
            heads,
            (row(each, words) for each in found),
        )
        if found
        else tag(
            "div",
            tag("p", words("No decision is known of these Pods since the start.")),
            unreached(words),
            class_="notice doubtful",
        )
    )
    return section("decisions", words("Latest decisions"), filters, shown)


def row(decision: DecisionRow, words: Words) -> tuple[Child, ...]:
    """Return the cells of a decision."""
    image: list[Child] = []
    if decision.image:
        image += [tag("span", code(decision.image), class_="line")]
    if decision.candidate:
        image += [tag("span", "→ ", code(decision.candidate), class_="line")]
    if decision.container:
        image += [tag("small", decision.container)]
    dry = f" ({words('dry run')})" if decision.dry else ""
    return (
        time(decision.time),
        decision.namespace,
        tag("span", decision.pod, tag("small", f" {decision.operation}{dry}")),
        tag("span", *image),
        badge(decision.outcome, words),
        code(decision.rule) if decision.rule else NONE,
        tag("span", decision.reason, tag("small", f" {decision.policy}")),
    )

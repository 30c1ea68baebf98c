"""The box that explains an image, as a section of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhook.core import MatchKind
from webhook.server.console.board import UnknownPolicyError
from webhook.server.console.forms import choice, field, form
from webhook.server.console.markup import Markup, tag
from webhook.server.console.table import badge, code, section, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.server.console.board import Board
    from webhook.server.console.markup import Child
    from webhook.server.console.page import Asked
    from webhook.server.console.values import ConsideredRow, Explanation
    from webhook.server.console.words import Words

__all__ = ["explain_section"]


def explain_section(board: Board, asked: Asked, words: Words) -> Markup:
    """Return the section: a box for an image, and what would become of the one asked for."""
    wanted = asked.wanted
    kept = {
        "lang": asked.lang,
        "namespace": wanted.namespace,
        "outcome": wanted.outcome,
        "text": wanted.text,
    }
    policies = [each.name for each in board.state().policies]
    box = form(
        "#explain",
        words("Explain"),
        kept,
        field("image", words("Image"), asked.image, "nginx:1.27"),
        choice("policy", words("Policy"), {name: name for name in policies}, asked.policy),
    )
    return section(
        "explain",
        words("What would become of an image?"),
        box,
        answered(board, asked, words) if asked.image.strip() else None,
    )


def answered(board: Board, asked: Asked, words: Words) -> Markup:
    """Return what would become of the image asked for."""
    try:
        explanation = board.explain(asked.image.strip(), asked.policy)
    except UnknownPolicyError as error:
        return tag("p", str(error), class_="notice bad", role="alert")
    result = explanation.result if explanation.result != explanation.image else None
    return tag(
        "div",
        tag(
            "p",
            badge(explanation.outcome, words),
            " ",
            code(explanation.image),
            *((" → ", code(result)) if result else ()),
        ),
        tag("p", words("Why"), ": ", explanation.reason),
        tag("p", words("Mirrors are asked when a Pod is created: another may be taken."))
        if explanation.checks
        else None,
        candidates(explanation, words) if explanation.candidates else None,
        considered(explanation.considered, words) if explanation.considered else None,
        class_="answer",
    )


def candidates(explanation: Explanation, words: Words) -> Markup:
    """Return the names that the image has at mirrors, the preferred first."""
    return table(
        words("Candidates, the preferred first"),
        [words(head) for head in ("Image", "Chain of rules", "Mirror")],
        (
            (
                code(each.image),
                each.reason,
                tag("span", badge(each.standing, words), f" {each.answer}".rstrip()),
            )
            for each in explanation.candidates
        ),
    )


def considered(rows: list[ConsideredRow], words: Words) -> Markup:
    """Return every rule; those that do not match are folded away."""
    matching = [row for row in rows if row.bearing is not MatchKind.UNMATCHED]
    others = [row for row in rows if row.bearing is MatchKind.UNMATCHED]
    folded = tag(
        "details",
        tag("summary", words("{count} rules do not match", count=len(others))),
        ruled(others, words),
        open=not matching,
    )
    return tag("div", ruled(matching, words) if matching else None, folded if others else None)


def ruled(rows: Iterable[ConsideredRow], words: Words) -> Markup:
    """Return rules, and what each has to do with the image."""
    return table(
        words("Rules considered"),
        [words(head) for head in ("Rule", "Mirrors", "What of it")],
        (
            (
                tag("span", code(row.rule), f" {row.profile}".rstrip()),
                tag("span", *mirrors(row, words)),
                tag("span", badge(row.bearing, words), told(row, words)),
            )
            for row in rows
        ),
    )


def mirrors(row: ConsideredRow, words: Words) -> list[Child]:
    """Return the mirrors of a rule; or that it keeps images."""
    if row.keep:
        return [words("keep")]
    return [tag("span", code(mirror), class_="line") for mirror in row.mirrors]


def told(row: ConsideredRow, words: Words) -> str:
    """Return in words what a rule has to do with the image, where a sign is not enough."""
    if row.bearing is MatchKind.SHADOWED:
        return " " + words("by the rule {rule}, which wins", rule=row.winner)
    if row.bearing is MatchKind.AT_MIRROR:
        return " " + words("the image is at one of its mirrors already")
    return ""

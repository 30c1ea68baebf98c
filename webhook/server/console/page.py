"""The page: one look at state, rewrites, an image, the latest decisions and the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from webhook.server.console.decisions import decisions_section
from webhook.server.console.explaining import explain_section
from webhook.server.console.markup import Markup, document, tag
from webhook.server.console.plot import plot_section
from webhook.server.console.replicas import replicas_section
from webhook.server.console.rules import rules_section
from webhook.server.console.state import state_section
from webhook.server.console.words import LANGUAGES

if TYPE_CHECKING:
    from webhook.server.console.board import Board
    from webhook.server.console.filter import Filter
    from webhook.server.console.words import Words
    from webhook.server.replicas import Replicas

__all__ = ["Asked", "page"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a visitor asked for.

    Attributes:
        lang: The language that was asked for by name; empty for that of the browser.
        wanted: Which decisions to show.
        image: The image to explain; empty for none.
        policy: The policy to explain it by.
    """

    lang: str
    wanted: Filter
    image: str
    policy: str


def page(board: Board, replicas: Replicas, asked: Asked, words: Words, rows: int) -> str:
    """Return the page.

    Args:
        board: Gathers what is shown.
        replicas: All replicas that are known.
        asked: What the visitor asked for.
        words: The language.
        rows: How many decisions to show at most.
    """
    state = board.state()
    title = f"mirrorhook · {state.replica}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="stylesheet", href="/console.css"),
        tag("link", rel="icon", href="data:,"),
    )
    main = tag(
        "main",
        state_section(state, words),
        replicas_section(replicas, words),
        explain_section(board, asked, words),
        plot_section(board.minutes(), words),
        decisions_section(board, asked, words, rows),
        rules_section(board.rule_rows(), words),
        id="main",
        tabindex="-1",
    )
    return document(
        tag(
            "html",
            head,
            tag(
                "body",
                tag("a", words("Skip to the content"), href="#main", class_="skip"),
                header(words),
                main,
                footer(words),
            ),
            lang=words.language,
        )
    )


def header(words: Words) -> Markup:
    """Return the head of the page, with the other languages."""
    languages = [
        tag(
            "a",
            name,
            href=f"/?lang={language}",
            hreflang=language,
            lang=language,
            aria_current="true" if language == words.language else None,
        )
        for language, name in LANGUAGES.items()
    ]
    return tag(
        "header",
        tag("h1", "mirrorhook"),
        tag("nav", *languages, aria_label=words("Language")),
    )


def footer(words: Words) -> Markup:
    """Return the foot of the page: where the same is to be had as JSON."""
    paths = ("state", "replicas", "rules", "rewrites", "decisions", "explain?image=nginx")
    links = [tag("a", f"/api/{path}", href=f"/api/{path}") for path in paths]
    links += [tag("a", path, href=path) for path in ("/openapi.json", "/metrics")]
    return tag("footer", tag("p", words("The same as JSON:")), tag("p", *spaced(links)))


def spaced(parts: list[Markup]) -> list[Markup | str]:
    """Return parts with blanks between them."""
    return [each for part in parts for each in (part, " ")][:-1]

"""The languages of the page. English texts are the keys of every catalogue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from webhook.server.console.reasons import translate_reason

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CATALOGUES", "LANGUAGES", "Translation", "choose_translation"]

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "zh": "中文"}
# The English one has only the values, such as outcomes, that are not English words.
CATALOGUES: Final[Mapping[str, Mapping[str, str]]] = {
    language: json.loads(files(__package__).joinpath(f"{language}.json").read_text("utf-8"))
    for language in LANGUAGES
}


@dataclass(frozen=True, slots=True)
class Translation:
    """One language: its HTML code, and its text for each English one."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, english: str, **values: object) -> str:
        """Return a text in this language, with *values* in its braces."""
        text = self.texts.get(english, english)
        return text.format(**values) if values else text

    def number(self, count: int, one: str, many: str) -> str:
        """Return a text with a number: *one* for 1, *many* for others, each with ``{count}``."""
        return self(one if count == 1 else many, count=count)

    def reason(self, english: str) -> str:
        """Return a reason in this language; logs, warnings and audit events have the English."""
        return self.texts.get(english) or translate_reason(self.language, english)


def choose_translation(requested: str, accept_language: str) -> Translation:
    """Return the language of a visitor.

    Args:
        requested: The code of the language asked for; empty or unknown for none.
        accept_language: The header `Accept-Language` of the browser (RFC 9110, 12.5.4).
    """
    language = requested if requested in LANGUAGES else _choose_language(accept_language)
    return Translation(language, CATALOGUES[language])


def _choose_language(accept_language: str) -> str:
    best, best_quality = "en", 0.0
    for part in accept_language.split(","):
        name, _, parameter = part.partition(";")
        language = name.strip().lower().partition("-")[0]
        if language in LANGUAGES and (quality := _parse_quality(parameter)) > best_quality:
            best, best_quality = language, quality
    return best


def _parse_quality(parameter: str) -> float:
    name, equals, value = parameter.strip().partition("=")
    if not equals:
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0

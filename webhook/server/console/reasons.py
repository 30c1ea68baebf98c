"""Reasons in another language.

Log, warnings, audit events and `mirrorhook explain` have the English words, of which the values in
them are part. So a reason is translated by the template that it was made of.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["translate_reason"]

CONTENT: Final = re.compile(r"\w")
PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
# Placeholders whose value may have spaces. Few may, as expressions with many take long.
WIDE: Final = frozenset({"reason", "answers", "mismatches", "path", "command", "values"})
# A rule may be followed by where it comes from, such as "(MirrorRules shop/rules)".
RULE: Final = r"\S+(?: \([^()]+\))?"
CHAIN: Final = re.compile(rf"rule ({RULE}) → (\S+?)(?:, then (.+))?")
MORE: Final = re.compile(r"(.*) and (\d+) more")
# A longer reason is not worth the time that the expressions take.
MAX_REASON: Final = 1100
# How many reasons may be in one another. Whoever creates a Pod names its owner, and what they wrote
# may look like hundreds.
MAX_DEPTH: Final = 8


def translate_reason(language: str, reason: str) -> str:
    """Return a reason in a language; the English words if it is English or not known."""
    if language == "en" or not reason or len(reason) > MAX_REASON:
        return reason
    return _translate(language, reason)


@lru_cache(maxsize=1024)  # many Pods have the same
def _translate(language: str, reason: str) -> str:
    return _load_catalogue(language).translate(reason) or reason


class _Catalogue:
    """The templates of one language.

    Args:
        content: The templates of reasons; the words of registry answers, which follow the name of
            the registry; and the words that join several.
    """

    def __init__(self, content: Mapping[str, Mapping[str, str]]) -> None:
        self._words = content["words"]
        self._answers = content["answers"]
        self._templates = [(_compile(key), value) for key, value in content["reasons"].items()]
        words = "|".join(map(re.escape, self._answers))
        self._next_answer = re.compile(rf", (?=\S+ (?:{words}))")

    def translate(self, reason: str, depth: int = MAX_DEPTH) -> str | None:
        """Return a reason in this language; None if no template makes it."""
        if not depth:
            return None
        for pattern, template in self._templates:
            match = pattern.fullmatch(reason)
            if match:
                found = match.groupdict()
                values = {name: self._fill(name, text, depth - 1) for name, text in found.items()}
                # A template of placeholders alone says nothing if it translates none of them.
                if values != found or CONTENT.search(PLACEHOLDER.sub("", template)):
                    return template.format(**values)
        chain = CHAIN.fullmatch(reason)
        if chain:
            step = self._words["rule"].format(rule=chain[1], target=chain[2])
            rest = chain[3] and (self.translate(chain[3], depth - 1) or chain[3])
            return self._words["then"].format(step=step, rest=rest) if rest else step
        parts = reason.split("; ")
        translated = [self.translate(each, depth - 1) for each in parts] if len(parts) > 1 else []
        if not any(translated):
            return None
        pairs = zip(translated, parts, strict=True)
        return self._words["semicolon"].join(new or old for new, old in pairs)

    def _fill(self, name: str, value: str, depth: int) -> str:
        if name in ("reason", "mismatches"):
            return self.translate(value, depth) or value
        return self._translate_answers(value) if name == "answers" else value

    def _translate_answers(self, text: str) -> str:
        """Return what several registries answered, each as its name and a few words."""
        more = MORE.fullmatch(text)
        parts = self._next_answer.split(more[1] if more else text)
        answers = self._words["comma"].join(map(self._translate_answer, parts))
        return self._words["more"].format(answers=answers, count=more[2]) if more else answers

    def _translate_answer(self, text: str) -> str:
        registry, _, rest = text.partition(" ")
        words, parenthesis, detail = rest.partition(" (")
        return f"{registry} {self._answers.get(words, words)}{parenthesis}{detail}"


@cache
def _load_catalogue(language: str) -> _Catalogue:
    # Most replicas never show their console.
    path = files(__package__).joinpath(f"{language}_reasons.json")
    return _Catalogue(json.loads(path.read_text("utf-8")))


def _compile(template: str) -> re.Pattern[str]:
    """Return the expression that matches what a template makes, with its values by name."""
    pattern = ""
    for index, part in enumerate(PLACEHOLDER.split(template)):
        value = ".+?" if part in WIDE else RULE if part == "rule" else r"\S+?"
        pattern += f"(?P<{part}>{value})" if index % 2 else re.escape(part)
    return re.compile(pattern, re.DOTALL)

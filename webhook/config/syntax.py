r"""What the YAML parser complains of, in words that say what to do.

Image rules are full of what YAML has a meaning of its own for: ``*``, ``\1``, ``@``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.config.problems import Spot

if TYPE_CHECKING:
    import yaml

    from webhook.config.problems import Problem

__all__ = ["explained"]

QUOTE_STAR: Final = (
    'a value that begins with * is an alias to YAML: write it in quotes, "*.example.com"'
)
QUOTE_VALUE: Final = "a value cannot begin with {!r} in YAML: write it in quotes"
NO_TABS: Final = "YAML refuses tabs there: indent with spaces"
SINGLE_QUOTES: Final = (
    "a backslash in double quotes begins an escape: write the value in single quotes"
)
ONE_DOCUMENT: Final = (
    "a second document begins: keep one, without a line ---; further sets of rules go "
    "under the key policies"
)
INDENTATION: Final = "check the indentation of this line, and of the one before"
STRAY_COLON: Final = (
    "a colon stands where no key can be: check the indentation; a value that holds "
    "': ' has to be written in quotes"
)
ADVICE: Final = {
    "unknown escape character": SINGLE_QUOTES,
    "found another document": ONE_DOCUMENT,
    "mapping values are not allowed": STRAY_COLON,
    "did not find expected key": INDENTATION,
    "did not find expected '-' indicator": INDENTATION,
}
# Where the place at which the parser began tells more than that at which it gave up.
BEGINNING: Final = frozenset({"while scanning an alias", "while scanning a quoted scalar"})
BRACKETS: Final = "[ or { is not closed, or a comma is missing"


def explained(error: yaml.YAMLError, text: str, origin: str) -> Problem:
    """Return the problem that a YAML *error* in *text* tells of.

    Args:
        error: What the parser raised.
        text: The whole file.
        origin: Its name.
    """
    words = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None) or ""
    mark = getattr(error, "problem_mark", None)
    if context in BEGINNING or mark is None:
        mark = getattr(error, "context_mark", None)
    if mark is None:
        return Spot(origin).problem(f"it is not YAML: {words}")
    detail = f"{context}, {words}" if context else words
    advice = advised(words, context, text[mark.index : mark.index + 1])
    spot = Spot(origin, mark.line + 1, mark.column + 1)
    return spot.problem(f"it is not YAML: {advice or detail}")


def advised(words: str, context: str, character: str) -> str:
    """Return what to do about a complaint; empty where the complaint says it itself.

    Args:
        words: The parser's complaint.
        context: What it was doing.
        character: The character that it stands at.
    """
    if character == "*" and ("alias" in context or "undefined alias" in words):
        return QUOTE_STAR
    if "tab" in words or (character == "\t" and "cannot start" in words):
        return NO_TABS
    if "cannot start any token" in words:
        return QUOTE_VALUE.format(character)
    if "end of stream" in words and "quoted scalar" in context:
        return f"the quote {character} is not closed"
    if "flow" in context:
        return BRACKETS
    return next((advice for part, advice in ADVICE.items() if part in words), "")

"""The exceptions of the core.

Their tree::

    ValueError
    ├── InvalidReferenceError   the reference grammar rejects an image name
    └── InvalidRuleError        a rule, or a set of rules, is invalid
        └── RuleCycleError      the mirrors of some rules lead back to each other

Every message names the value and what is wrong with it, so that it can be shown to users.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "CHECK_PATH",
    "InvalidReferenceError",
    "InvalidRuleError",
    "RuleCycleError",
    "escape_controls",
    "quote",
    "shorten",
]

# How messages about files that cannot be read end.
CHECK_PATH: Final = "check the path and its permissions"
_MAX_QUOTED: Final = 160


def quote(value: str) -> str:
    """Return *value* for use in a message: in quotes, escaped, and cut if it is long."""
    if len(value) <= _MAX_QUOTED:
        return repr(value)
    return f"{value[:_MAX_QUOTED]!r}… ({len(value)} characters)"


def escape_controls(text: str) -> str:
    """Return *text* with the characters that a terminal would act on written as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shorten(text: str, limit: int) -> str:
    """Return *text*, cut to *limit* characters: nothing else bounds what a client sends."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


class InvalidReferenceError(ValueError):
    """A text is not an image reference.

    Args:
        text: The text.
        problem: What is wrong with it, as the end of a sentence.
    """

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"{quote(text)} is not an image reference: {problem}")
        self.text = text
        self.problem = problem


class InvalidRuleError(ValueError):
    """A rule is invalid.

    Args:
        problem: What is wrong, with the value.
        field: The key of the rule at fault: ``match``, ``regex``, ``mirrors``,
            ``mirrors[1]`` …, or empty for the rule as a whole.
    """

    def __init__(self, problem: str, *, field: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field


class RuleCycleError(InvalidRuleError):
    """The mirrors of some rules lead back to each other, so that rewriting would never end.

    Args:
        names: The rules of the cycle, in order.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        walk = " → ".join([*names, names[0]])
        super().__init__(
            f"the rules form a cycle: {walk}; remove one of them, or give one `keep: true`"
        )
        self.names = names

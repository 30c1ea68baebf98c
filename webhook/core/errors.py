"""What the core refuses.

Our exception tree::

    ValueError
    ├── InvalidReferenceError   an image name that the reference grammar refuses
    └── InvalidRuleError        a rule, or a set of rules, that cannot be applied
        └── RuleCycleError      rules whose mirrors lead back to each other

Every message names the thing, the value and what is wrong with it, so that it
can be shown to a person as it is.
"""

from __future__ import annotations

__all__ = ["InvalidReferenceError", "InvalidRuleError", "RuleCycleError"]

MAX_QUOTED = 160


def quote(value: str) -> str:
    """Return *value* as it may stand in a message: escaped, and bounded in length."""
    if len(value) <= MAX_QUOTED:
        return repr(value)
    return f"{value[:MAX_QUOTED]!r}… ({len(value)} characters)"


class InvalidReferenceError(ValueError):
    """A text that is no image reference.

    Args:
        text: The text as it was written.
        problem: What is wrong with it, as the end of a sentence.
    """

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"{quote(text)} is not an image reference: {problem}")
        self.text = text
        self.problem = problem


class InvalidRuleError(ValueError):
    """A rule that cannot be applied.

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
    """Rules whose mirrors lead back to each other, so that no image would come to rest.

    Args:
        names: The rules in the order in which they feed each other.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        walk = " → ".join([*names, names[0]])
        super().__init__(
            f"the rules lead back to each other: {walk}; "
            "remove one, or mark one of them `keep: true`"
        )
        self.names = names

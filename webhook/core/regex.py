r"""Regular expressions of rules, by RE2: linear time on any input (`syntax`_).

RE2 is imported when the first rule with a regular expression is made, as most
sets of rules have none.

.. _syntax: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from webhook.core.errors import InvalidRuleError, quote

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Regex", "RegexSet", "Template"]

# Enough for tens of thousands; the engine takes what it needs and no more.
MAX_MEMORY: Final = 256 * 1024 * 1024
GROUP: Final = re.compile(r"\\([0-9])")


def quiet() -> Any:
    """Return RE2 options that keep its complaints off standard error."""
    import re2  # noqa: PLC0415 - see the module's docstring

    options = re2.Options()
    options.log_errors = False
    return options


@dataclass(frozen=True)
class Regex:
    """One regular expression, matched whole.

    Raises:
        InvalidRuleError: RE2 refuses it.
    """

    text: str
    compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        import re2  # noqa: PLC0415 - see the module's docstring

        try:
            compiled = re2.compile(self.text, quiet())
        except re2.error as error:
            (detail,) = error.args
            words = detail.decode() if isinstance(detail, bytes) else detail
            problem = f"regex {quote(self.text)} is refused by RE2: {words}"
            raise InvalidRuleError(problem, field="regex") from None
        object.__setattr__(self, "compiled", compiled)

    @property
    def groups(self) -> int:
        """How many groups it has."""
        return int(self.compiled.groups)

    def rewrite(self, name: str, target: str) -> str:
        r"""Return *target* with its groups filled in from *name*, which must match.

        A group that took no part in the match is empty. It is applied once to
        the whole name; it is not a substitution of every occurrence.
        """
        matched = self.compiled.fullmatch(name)
        return GROUP.sub(lambda group: matched.group(int(group[1])) or "", target)

    def __str__(self) -> str:
        return self.text


class RegexSet:
    """Many regular expressions tried at once, in one pass over the name.

    Args:
        patterns: The regular expressions.
        memory: What the engine may take for them, in bytes.

    Raises:
        InvalidRuleError: It needs more.
    """

    def __init__(self, patterns: Iterable[Regex], memory: int = MAX_MEMORY) -> None:
        import re2  # noqa: PLC0415 - see the module's docstring

        options = quiet()
        options.max_mem = memory
        self._set = re2.Set.FullMatchSet(options)
        try:
            for pattern in patterns:
                self._set.Add(pattern.text)
            self._set.Compile()
        except re2.error:
            problem = "the regexes of the rules are too large together: use match, or fewer"
            raise InvalidRuleError(problem, field="regex") from None

    def matching(self, name: str) -> list[int]:
        """Return the places of the patterns that match *name* whole, in order."""
        return sorted(self._set.Match(name) or ())


@dataclass(frozen=True, slots=True)
class Template:
    r"""A mirror's target as a text with groups, ``harbor.example.com/legacy/\1``."""

    text: str

    @property
    def highest_group(self) -> int:
        """The highest group it uses."""
        return max((int(number) for number in GROUP.findall(self.text)), default=0)

    def filled(self, value: str) -> str:
        """Return the target with *value* in place of every group."""
        return GROUP.sub(value, self.text)

    def could_have_made(self, name: str) -> bool:
        """Say whether some values of the groups make *name* of this target."""
        return bool(shape(self.text).compiled.fullmatch(name))


@lru_cache(maxsize=1024)
def shape(template: str) -> Regex:
    """Return the pattern of all names that a *template* can make."""
    return Regex(".*".join(re.escape(part) for part in GROUP.split(template)[::2]))

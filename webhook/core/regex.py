r"""Regular expressions of rules, by RE2: linear time on any input (`syntax`_).

A mirror of such a rule is a template: ``\1`` to ``\9`` in its target are the groups of the
expression, ``\0`` is the whole name.

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

__all__ = [
    "MAX_MEMORY",
    "REGEX_MEMORY",
    "Regex",
    "RegexSet",
    "could_produce",
    "fill_groups",
    "highest_group",
]

# An upper bound, enough for 20,000 usual expressions. RE2 takes what it needs, and a contrived
# expression makes it need all: this has to fit into a small container beside everything else.
MAX_MEMORY: Final = 32 * 1024 * 1024
REGEX_MEMORY: Final = 8 * 1024 * 1024  # that of RE2
_GROUP: Final = re.compile(r"\\([0-9])")


def _import_re2() -> Any:
    # Imported on first use: it takes 7 ms and 3 MiB, and most rules have no regex.
    import re2  # noqa: PLC0415

    return re2


def _make_options(memory: int) -> Any:
    options = _import_re2().Options()
    options.log_errors = False  # on standard error
    options.max_mem = memory
    return options


@dataclass(frozen=True)
class Regex:
    """A regular expression that has to match the whole name.

    Args:
        text: The expression.
        memory: Upper bound of the memory that RE2 may use for it, in bytes.

    Raises:
        InvalidRuleError: RE2 rejects it.
    """

    text: str
    memory: int = field(default=REGEX_MEMORY, repr=False, compare=False)
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        re2 = _import_re2()
        try:
            compiled = re2.compile(self.text, _make_options(self.memory))
        except re2.error as error:
            (detail,) = error.args
            reason = detail.decode() if isinstance(detail, bytes) else detail
            problem = f"regex {quote(self.text)} is refused by RE2: {reason}"
            raise InvalidRuleError(problem, field="regex") from None
        object.__setattr__(self, "_compiled", compiled)

    @property
    def group_count(self) -> int:
        """The number of groups."""
        return int(self._compiled.groups)

    def matches(self, name: str) -> bool:
        """Return whether the expression matches the whole of *name*."""
        return self._compiled.fullmatch(name) is not None

    def expand(self, name: str, template: str) -> str:
        """Return *template* with the groups of *name*, which the expression must match.

        A group that took no part in the match is empty.
        """
        match = self._compiled.fullmatch(name)
        return _GROUP.sub(lambda group: match.group(int(group[1])) or "", template)

    def __str__(self) -> str:
        return self.text


class RegexSet:
    """Many regular expressions that are matched at once, in one pass over the name.

    Args:
        regexes: The regular expressions.
        memory: Upper bound of the memory that RE2 may use for them, in bytes.

    Raises:
        InvalidRuleError: They need more memory.
    """

    def __init__(self, regexes: Iterable[Regex], memory: int = MAX_MEMORY) -> None:
        re2 = _import_re2()
        options = _make_options(memory)
        self._set = re2.Set.FullMatchSet(options)
        try:
            for regex in regexes:
                self._set.Add(regex.text)
            self._set.Compile()
        except re2.error:
            problem = "the regexes of all rules are too large together: use match, or fewer regexes"
            raise InvalidRuleError(problem, field="regex") from None

    def find_matches(self, name: str) -> list[int]:
        """Return the indexes of the expressions that match the whole of *name*, in order."""
        return sorted(self._set.Match(name) or ())


def highest_group(template: str) -> int:
    """Return the highest group that a template uses; 0 if it uses none."""
    return max((int(number) for number in _GROUP.findall(template)), default=0)


def fill_groups(template: str, value: str) -> str:
    """Return a template with *value* in place of every group."""
    return _GROUP.sub(value, template)


def could_produce(template: str, name: str) -> bool:
    """Return whether some values of the groups turn *template* into *name*."""
    return _compile_template(template).matches(name)


@lru_cache(maxsize=1024)
def _compile_template(template: str) -> Regex:
    return Regex(".*".join(re.escape(part) for part in _GROUP.split(template)[::2]))

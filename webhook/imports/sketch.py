"""What an import brings to light: rules, and remarks on what has no equivalent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from webhook.core import InvalidRuleError, Mirror, MirrorMap, Original, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Remark", "Sketch", "UnreadableFileError"]


class UnreadableFileError(ValueError):
    """A file that is not of the format it was given for; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the rules do not say, or say otherwise than the file.

    Attributes:
        origin: The file.
        line: Where it stands, from 1; 0 for the file as a whole.
        message: What it is, and what becomes of it.
    """

    origin: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.origin}:{self.line}" if self.line else self.origin
        return f"{place}: {self.message}"


class Sketch:
    """Takes rules one by one, and keeps those that can be applied together.

    Args:
        origin: The file, for remarks.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._rules: dict[str, tuple[Rule, int]] = {}
        self._remarks: list[Remark] = []

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order of the file."""
        return tuple(rule for rule, _ in self._rules.values())

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """The remarks, in the order of the file."""
        return tuple(sorted(self._remarks, key=lambda remark: (remark.origin, remark.line)))

    def remark(self, line: int, message: str) -> None:
        """Note what has no equivalent."""
        self._remarks.append(Remark(self.origin, line, message))

    def mirror(
        self,
        line: int,
        match: str,
        mirrors: Iterable[Mirror | str],
        original: Original = Original.LAST,
    ) -> None:
        """Add a rule with mirrors for a registry, with or without a path."""
        self._add(line, match, lambda: Rule(match, mirrors, original=original))

    def keep(self, line: int, match: str) -> None:
        """Add a rule that leaves images alone."""
        self._add(line, match, lambda: Rule(match, keep=True))

    def regex(
        self,
        line: int,
        regex: str,
        mirrors: Iterable[str],
        original: Original = Original.LAST,
    ) -> None:
        """Add a rule with a regular expression for ``registry/repository``."""
        self._add(line, regex, lambda: Rule(regex=regex, mirrors=mirrors, original=original))

    def keep_regex(self, line: int, regex: str) -> None:
        """Add a rule that leaves alone what a regular expression matches.

        It is for files whose catch-all is one: that would come before every `keep`.
        """
        self._add(line, regex, lambda: Rule(regex=regex, keep=True))

    def _add(self, line: int, name: str, make: Callable[[], Rule]) -> None:
        try:
            rule = make()
            known = self._rules.get(rule.name)
            if known is not None:
                problem = f"{rule.name} stands in line {known[1]} already: left out"
                self.remark(line, problem)
                return
            MirrorMap([*self.rules, rule])
        except InvalidRuleError as error:
            self.remark(line, f"{name} gives no rule: {error}")
        else:
            self._rules[rule.name] = (rule, line)

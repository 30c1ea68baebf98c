"""The result of an import: rules, and warnings about what has no equivalent in rules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webhook.core import InvalidRuleError, Mirror, MirrorMap, Original, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["FileWarning", "RuleSet", "UnreadableFileError", "format_rules"]


class UnreadableFileError(ValueError):
    """A file that is not of the expected format; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class FileWarning:
    """Something in a file that the rules do not do, or do differently.

    Attributes:
        origin: The file.
        line: The line, from 1; 0 for the file as a whole.
        message: What it is, and what happens to it.
    """

    origin: str
    line: int
    message: str

    def __str__(self) -> str:
        location = f"{self.origin}:{self.line}" if self.line else self.origin
        return f"{location}: {self.message}"


class RuleSet:
    """Collects rules that can be applied together; others become warnings.

    Args:
        origin: The file, for warnings. It may be set anew before each file is read.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._rules: dict[str, tuple[Rule, int]] = {}
        self._warnings: list[FileWarning] = []

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in the order of the file."""
        return tuple(rule for rule, _ in self._rules.values())

    @property
    def warnings(self) -> tuple[FileWarning, ...]:
        """The warnings in the order of the file."""
        return tuple(sorted(self._warnings, key=lambda warning: (warning.origin, warning.line)))

    def warn(self, line: int, message: str) -> None:
        """Add a warning."""
        self._warnings.append(FileWarning(self.origin, line, message))

    def add_mirrors(
        self,
        line: int,
        match: str,
        mirrors: Iterable[Mirror | str],
        original: Original = Original.LAST,
    ) -> None:
        """Add a rule with mirrors for a registry, with or without a path."""
        self._add(line, match, lambda: Rule(match, mirrors, original=original))

    def add_keep(self, line: int, match: str) -> None:
        """Add a rule that keeps images unchanged."""
        self._add(line, match, lambda: Rule(match, keep=True))

    def add_regex(
        self,
        line: int,
        regex: str,
        mirrors: Iterable[str],
        original: Original = Original.LAST,
    ) -> None:
        """Add a rule with a regular expression for ``registry/repository``."""
        self._add(line, regex, lambda: Rule(regex=regex, mirrors=mirrors, original=original))

    def add_keep_regex(self, line: int, regex: str) -> None:
        """Add a rule that keeps the images that a regular expression matches.

        Use it in files whose catch-all is a regular expression, which precedes every `add_keep`.
        """
        self._add(line, regex, lambda: Rule(regex=regex, keep=True))

    def _add(self, line: int, name: str, make: Callable[[], Rule]) -> None:
        try:
            rule = make()
            known = self._rules.get(rule.name)
            if known is not None:
                self.warn(line, f"left out: line {known[1]} already has a rule for {rule.name}")
                return
            MirrorMap([*self.rules, rule])
        except InvalidRuleError as error:
            self.warn(line, f"left out: {name} cannot be a rule: {error}")
        else:
            self._rules[rule.name] = (rule, line)


def format_rules(rules: Iterable[Rule], title: str) -> str:
    """Return a rules file as YAML, with *title* as a comment in its first line."""
    lines = [line for rule in rules for line in _format_rule(rule)]
    return "\n".join([f"# {title}", "rules:" if lines else "rules: []", *lines, ""])


def _format_rule(rule: Rule) -> Iterator[str]:
    if rule.regex is not None:
        yield f"  - regex: {_quote_backslashes(str(rule.regex))}"
    else:
        yield f"  - match: {_quote_if_special(str(rule.match))}"
    if rule.keep:
        yield "    keep: true"
        return
    yield "    mirrors:"
    for mirror in rule.mirrors:
        quote = _quote_backslashes if mirror.is_template else _quote_if_special
        target = quote(mirror.target)
        if mirror.flatten:
            yield f"      - target: {target}"
            yield "        flatten: true"
        else:
            yield f"      - {target}"
    if rule.original is not Original.LAST:
        yield f"    original: {rule.original}"


def _quote_if_special(text: str) -> str:
    """Return a registry as YAML: in quotes if its first character has a meaning in YAML."""
    return text if text[0].isalpha() else json.dumps(text)


def _quote_backslashes(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

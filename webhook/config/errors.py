"""Problems in a rules file, each with its source location.

Reading does not stop at the first problem: `Diagnostics` collects them, to raise them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.core.errors import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import yaml

__all__ = [
    "ConfigurationError",
    "Diagnostics",
    "Problem",
    "SourceLocation",
    "explain_yaml_error",
]

MAX_PROBLEMS: Final = 1000  # a file may be wrong in every one of its lines


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Where a value is in a rules file.

    Attributes:
        origin: The file, as the caller named it; empty for rules that are in no file.
        line: Line in the file, from 1; 0 for the file as a whole.
        column: Column in the line, from 1; 0 for the file as a whole.
        path: The value, such as ``rules[2].mirrors[0].target``; empty for the file as a whole.
    """

    origin: str = ""
    line: int = 0
    column: int = 0
    path: str = ""


@dataclass(frozen=True, slots=True)
class Problem(SourceLocation):
    """One thing that is wrong at a location: *message* says what, and how to fix it."""

    message: str = ""

    @classmethod
    def at(cls, location: SourceLocation, message: str) -> Problem:
        """Return a problem at *location*."""
        return cls(location.origin, location.line, location.column, location.path, message)

    def __str__(self) -> str:
        location = f"{self.origin}:{self.line}:{self.column}" if self.line else self.origin
        text = ": ".join(part for part in (location, self.path, self.message) if part)
        return escape_controls(text)  # advice repeats what the file says


class ConfigurationError(ValueError):
    """Rules that cannot be used. ``str()`` lists every problem, one per line.

    Args:
        problems: The problems in the order of the file.
        files: The files that the rules name; the problem may be in one of them.
    """

    def __init__(self, problems: Iterable[Problem], files: Iterable[Path] = ()) -> None:
        self.problems = tuple(problems)
        self.files = tuple(files)
        super().__init__("\n".join(map(str, self.problems)))


class Diagnostics:
    """Collects problems, and warnings about what is allowed but may be a mistake."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def add_problem(self, location: SourceLocation, message: str) -> None:
        """Add a problem."""
        self.problems.append(Problem.at(location, message))

    def add_warning(self, location: SourceLocation, message: str) -> None:
        """Add a warning."""
        self.warnings.append(Problem.at(location, message))

    def finish(self, files: Iterable[Path] = ()) -> tuple[str, ...]:
        """Return the warnings in the order of the file, as sentences.

        Args:
            files: The files that the rules name.

        Raises:
            ConfigurationError: There are problems.
        """
        if self.problems:
            raise ConfigurationError(_sort(self.problems), files)
        return tuple(map(str, _sort(self.warnings)))


def _sort(problems: list[Problem]) -> list[Problem]:
    """Return *problems* in the order of the file; only the first ones of very many."""
    ordered = sorted(problems, key=lambda problem: (problem.line, problem.column))
    more = len(ordered) - MAX_PROBLEMS
    if more <= 0:
        return ordered
    rest = Problem(ordered[0].origin, message=f"and {more} more problems")
    return [*ordered[:MAX_PROBLEMS], rest]


# Errors of the YAML parser, explained by how to fix them. Image rules are full of characters
# that mean something to YAML: *, \, @.
QUOTE_STAR: Final = (
    'YAML reads a value that begins with * as an alias: write it in quotes, "*.example.com"'
)
INDENTATION: Final = "check the indentation of this line and of the line before"
ADVICE: Final = {
    "unknown escape character": (
        "a backslash in double quotes starts an escape sequence: write the value in single quotes"
    ),
    "found another document": (
        "a second document begins here: a rules file has one; put more sets of rules under "
        "the key policies"
    ),
    "mapping values are not allowed": (
        "unexpected colon: check the indentation; a value that contains ': ' must be in quotes"
    ),
    "did not find expected key": INDENTATION,
    "did not find expected '-' indicator": INDENTATION,
}
# In these contexts the position of the context is more useful than that of the problem.
USE_CONTEXT_MARK: Final = frozenset({"while scanning an alias", "while scanning a quoted scalar"})


def explain_yaml_error(error: yaml.YAMLError, text: str, origin: str) -> Problem:
    """Return the problem that the YAML parser found in *text*, the content of the file *origin*."""
    problem = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None) or ""
    mark = getattr(error, "problem_mark", None)
    if context in USE_CONTEXT_MARK or mark is None:
        mark = getattr(error, "context_mark", None)
    if mark is None:
        return Problem(origin, message=f"invalid YAML: {problem}")
    detail = f"{context}, {problem}" if context else problem
    advice = _advise(problem, context, text[mark.index : mark.index + 1])
    message = f"invalid YAML: {advice or detail}"
    return Problem(origin, mark.line + 1, mark.column + 1, message=message)


def _advise(problem: str, context: str, character: str) -> str:
    """Return how to fix a problem at *character*; empty if the parser's own words say it."""
    if character == "*" and ("alias" in context or "undefined alias" in problem):
        return QUOTE_STAR
    if "tab" in problem or (character == "\t" and "cannot start" in problem):
        return "YAML does not allow tabs here: indent with spaces"
    if "cannot start any token" in problem:
        return f"a value cannot begin with {character!r} in YAML: write it in quotes"
    if "end of stream" in problem and "quoted scalar" in context:
        return f"the quote {character} is not closed"
    if "flow" in context:
        return "[ or { is not closed, or a comma is missing"
    return next((advice for part, advice in ADVICE.items() if part in problem), "")

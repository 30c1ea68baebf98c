"""What is wrong with a rules file, and where.

A reader that stopped at the first mistake would be asked again for each one. So
mistakes are collected, and raised together at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["ConfigurationError", "Findings", "Problem", "Spot"]

# More than anybody reads; a file may be wrong in every one of its lines.
MAX_PROBLEMS: Final = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        origin: The file, as it was named; empty where the rules come from none.
        line: Line in the file, from 1; 0 for the file as a whole.
        column: Column in that line, from 1; 0 as for *line*.
        path: The value at fault, ``rules[2].mirrors[0].target``; empty for the
            file as a whole.
        message: What is wrong, with the value, and what to do about it.
    """

    origin: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.origin}:{self.line}:{self.column}" if self.line else self.origin
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigurationError(ValueError):
    """Rules that cannot be used. ``str()`` lists every problem, one a line.

    Args:
        problems: All that is wrong, in the order of the file.
        files: The files that the rules name, one of which may be what is wrong.
    """

    def __init__(self, problems: Iterable[Problem], files: Iterable[Path] = ()) -> None:
        self.problems = tuple(problems)
        self.files = tuple(files)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a rules file; without a line it is the file as a whole.

    Attributes: as those of `Problem`.
    """

    origin: str = ""
    line: int = 0
    column: int = 0
    path: str = ""

    def problem(self, message: str) -> Problem:
        """Return the problem that *message* tells of, at this place."""
        return Problem(self.origin, self.line, self.column, self.path, message)


class Findings:
    """What a reading brings to light: problems, and warnings of what is merely odd."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []

    def refuse(self, spot: Spot, message: str) -> None:
        """Note a problem."""
        self._problems.append(spot.problem(message))

    def warn(self, spot: Spot, message: str) -> None:
        """Note something that is allowed, and yet may not be what is meant."""
        self._warnings.append(spot.problem(message))

    @property
    def count(self) -> int:
        """How many problems there are."""
        return len(self._problems)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings in the order of the file, as sentences."""
        return tuple(map(str, shortened(self._warnings)))

    def raise_problems(self, files: Iterable[Path] = ()) -> None:
        """End the reading if there is any problem.

        Args:
            files: The files that the rules name.

        Raises:
            ConfigurationError: There is; it holds them all.
        """
        if self._problems:
            raise ConfigurationError(shortened(self._problems), files)


def shortened(problems: list[Problem]) -> list[Problem]:
    """Return *problems* in the order of the file; of very many the first, and their number."""
    ordered = sorted(problems, key=lambda problem: (problem.line, problem.column))
    more = len(ordered) - MAX_PROBLEMS
    if more <= 0:
        return ordered
    rest = Problem(ordered[0].origin, 0, 0, "", f"and {more} more like these")
    return [*ordered[:MAX_PROBLEMS], rest]

"""Figures that we publish. Times are of this machine, and ratios of this run.

python -m tests.bench              # all, for a quarter of an hour
python -m tests.bench speed        # the contest alone; or lookup, start, memory …
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from tests.bench import availability, path, rewriting
from tests.bench.contest import bounds, contest
from tests.bench.image import measure_image
from tests.bench.load import WrkMissingError
from tests.bench.lookup import lookup
from tests.bench.report import machine, make_bound_table, make_contest_table, write_json
from tests.bench.starting import commands, measure_memory, measure_start
from tests.tools.golang import GoMissingError
from webhook.cli.output import show_table, show_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.bench.contest import Bound

RESULTS: Final = Path(__file__).resolve().parents[2] / ".cache/bench.json"


def report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def speed(folder: Path) -> Iterator[Bound]:
    """Hold the contest, show it, and yield what has to hold of it."""
    entries = contest(folder, report)
    found = [*bounds(entries)]
    Console().print(make_contest_table(entries))
    write_json(RESULTS, entries, found)
    report(f"all of it as JSON: {RESULTS}")
    yield from found


def memory(folder: Path) -> Iterator[Bound]:
    return measure_memory(folder, report)


def other(rows: Iterable[tuple[str, str, str]]) -> None:
    show_table(("WHAT", "HERE", "AGAINST THE LINE ABOVE"), rows)


BOUNDED: Final[dict[str, Callable[[Path], Iterable[Bound]]]] = {
    "path": lambda _: path.measure_path(),
    "lookup": lambda _: lookup(),
    "speed": speed,
    "start": measure_start,
    "commands": commands,
    "rewrite": rewriting.figures,
    "memory": memory,
}
OTHERS: Final[dict[str, Callable[[Path], Iterable[tuple[str, str, str]]]]] = {
    "availability": availability.figures,
    "image": lambda _: measure_image(),
}


def main() -> None:
    """Measure what is asked for, show it, and fail where something does not hold."""
    wanted = sys.argv[1:] or [*BOUNDED, *OTHERS]
    unknown = [each for each in wanted if each not in BOUNDED | OTHERS]
    if unknown:
        sys.exit(f"{unknown[0]!r} is not one of {', '.join(BOUNDED | OTHERS)}")
    show_text(machine(), style="bold")
    over = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            for each in wanted:
                report(f"measuring: {each}")
                if each in OTHERS:
                    other(OTHERS[each](folder))
                    continue
                found = [*BOUNDED[each](folder)]
                Console().print(make_bound_table(found))
                over += [bound for bound in found if not bound.holds]
        except (GoMissingError, WrkMissingError) as error:
            sys.exit(f"{each} cannot be measured here: {error}")
    for bound in over:
        report(f"over: {bound.name} is {bound.value:.2f} {bound.unit}, not {bound.most:g}")
    sys.exit(bool(over))


if __name__ == "__main__":
    main()

"""The contest: whole reviews over TLS, asked of each server in turn.

Every server answers on one core, and the load comes from another; the order rotates from
round to round, and ratios are taken round by round, so that a machine that others use at
the same time makes all of them slow alike.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.bench.bodies import IMAGES, TARGETS, make_review
from tests.bench.contestants import Field, list_images, make_rules
from tests.bench.load import Case, Load, Sample
from tests.bench.mirror import run_mirror

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bench.contestants import Contestant

__all__ = ["Bound", "Entry", "bounds", "contest"]

SECONDS: Final = 2
ROUNDS: Final = 5
WARM_SECONDS: Final = 1
RULES: Final = 10

USUAL = Case("7 KB, 32 connections", make_review(7_000))
NEW = Case("7 KB, every image new", make_review(7_000, marked=True), new=True)
SMALL = Case("2 KB", make_review(2_000))
LARGE = Case("40 KB", make_review(40_000))
ALONE = Case("7 KB, 1 connection", make_review(7_000), connections=1)
DIALLING = Case("7 KB, a connection a review", make_review(7_000), keep=False)
CASES: Final = (USUAL, NEW, SMALL, LARGE, ALONE, DIALLING)

OURS, FLOOR, LEAN, TYPED = "mirrorhook", "floor", "lean-go", "typed-go"


@dataclass(frozen=True)
class Entry:
    """One server with one case, and its samples, round by round."""

    contestant: Contestant
    case: Case
    samples: list[Sample] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        return self.contestant.name, self.case.name

    def middle(self, value: Callable[[Sample], float]) -> float:
        """Return the median of a figure over all rounds."""
        return statistics.median(map(value, self.samples))

    def ratio(self, other: Entry) -> float:
        """Return how much more processor it takes than another, in the median of all rounds."""
        pairs = zip(self.samples, other.samples, strict=True)
        return statistics.median(one.cpu / two.cpu for one, two in pairs)


@dataclass(frozen=True)
class Bound:
    """What has to hold.

    Attributes:
        name: What it is about.
        value: What was measured.
        most: What it may be.
        unit: what both are; a multiplication sign for a ratio.
    """

    name: str
    value: float
    most: float
    unit: str = "×"

    @property
    def holds(self) -> bool:
        return self.value <= self.most


def contest(
    folder: Path, report: Callable[[str], None], rounds: int = ROUNDS
) -> dict[tuple[str, str], Entry]:
    """Run every server with every case, and return the entries.

    Args:
        folder: A folder for what is needed.
        report: Gets the progress in words.
        rounds: How often each is asked.

    Raises:
        GoMissingError: There is no Go here.
        WrkMissingError: There is no wrk here.
    """
    load = Load(folder)
    with ExitStack() as stack:
        entries = [*_start_entries(Field(folder, stack), stack)]
        for number, entry in enumerate(entries):
            report(f"warming up {number + 1} of {len(entries)}: {' · '.join(entry.key)}")
            load.run(entry.contestant, entry.case, WARM_SECONDS)
        for number in range(rounds):
            report(f"round {number + 1} of {rounds}, {len(entries) * SECONDS:.0f} s each")
            first = number * len(entries) // rounds
            for entry in entries[first:] + entries[:first]:
                sample = load.run(entry.contestant, entry.case, SECONDS)
                entry.samples.append(sample)
    return {entry.key: entry for entry in entries}


def _start_entries(field: Field, stack: ExitStack) -> Iterator[Entry]:
    """Start all servers, and yield each with each way that it is asked in."""
    mirror = stack.enter_context(run_mirror())
    ours = field.start_webhook(OURS, make_rules(RULES))
    expected = list_images(ours, USUAL.body)
    assert len(expected) == len(IMAGES)
    everybody = [ours, field.start_floor(ours.answer(USUAL.body))]
    everybody += [field.start_go(name) for name in (LEAN, TYPED)]
    for contestant in everybody:
        assert list_images(contestant, USUAL.body) == expected, contestant.name
        yield from (Entry(contestant, case) for case in CASES if case is not NEW)
    # Its cache must not hold the images of other cases.
    for contestant in (field.start_webhook(OURS, make_rules(RULES)), *everybody[1:]):
        yield Entry(contestant, NEW)
    for count in (1_000, 10_000):
        yield Entry(field.start_webhook(f"{OURS}, {count:,} rules", make_rules(count)), USUAL)
    checked = make_rules(RULES, {name: f"{mirror}/{name}" for name in TARGETS})
    checked["availability"] = {"mode": "check", "plainHTTP": [mirror], "ttl": "24h"}
    asking = field.start_webhook(f"{OURS}, mirrors checked", checked)
    assert all(image.startswith(mirror) for image in list_images(asking, USUAL.body))
    yield Entry(asking, USUAL)


def bounds(entries: dict[tuple[str, str], Entry]) -> Iterator[Bound]:
    """Yield what has to hold of a contest."""

    def of(name: str, case: Case = USUAL) -> Entry:
        return entries[name, case.name]

    ours, alone = of(OURS), of(OURS, ALONE)
    for name, most in ((FLOOR, 3.6), (LEAN, 1.5), (TYPED, 0.2)):
        yield Bound(f"a review, to {name}", ours.ratio(of(name)), most)
    yield Bound("every image new, to the same again", of(OURS, NEW).ratio(ours), 2.5)
    yield Bound("40 KB, to 7 KB", of(OURS, LARGE).ratio(ours), 2.0)
    many, checked = f"{OURS}, 10,000 rules", f"{OURS}, mirrors checked"
    yield Bound(f"10,000 rules, to {RULES}", of(many).ratio(ours), 1.1)
    yield Bound("mirrors checked and known, to unchecked", of(checked).ratio(ours), 1.3)
    median = alone.middle(lambda sample: sample.median)
    floor = of(FLOOR, ALONE).middle(lambda sample: sample.median)
    yield Bound("one connection, median over floor's", (median - floor) * 1e6, 200, "µs")
    worst = alone.middle(lambda sample: sample.worst)
    yield Bound("one connection, 99 % to median", worst / median, 4)

"""Asking registries from the command line, with a bar that shows how far it is."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from webhook.core import Availability
from webhook.registry import Prober, Silent, options_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.progress import Progress

    from webhook.core import Decision
    from webhook.registry import Chooser, Finding

__all__ = [
    "ANSWER_COLUMNS",
    "Asked",
    "Probed",
    "answer_cells",
    "answer_rows",
    "as_record",
    "probe",
]

ANSWER_COLUMNS = ("ANSWER", "TIME")


class Asked(NamedTuple):
    """One image at one registry, and what was found out about it."""

    image: str
    finding: Finding


class Probed(NamedTuple):
    """A decision by what registries have, and the answers that it is made of.

    Attributes:
        decision: The decision.
        original: The original, where it is asked for.
        candidates: Each candidate, in the order of the decision.
    """

    decision: Decision
    original: Asked | None
    candidates: tuple[Asked, ...]


class Aloud(Silent):
    """Tells on standard error what went wrong."""

    def failed(self, question: str, error: Exception) -> None:
        """Tell of an error of ours, by its kind."""
        click.echo(f"Warning: {question}: {type(error).__name__}", err=True)

    def troubled(self, problem: str) -> None:
        """Tell that a file cannot be used."""
        click.echo(f"Warning: {problem}", err=True)


def probe(settings: Availability | None, decisions: Sequence[Decision]) -> list[Probed]:
    """Ask for every candidate of some images, as the webhook does, but for all the answers.

    Args:
        settings: How to ask; None for the defaults.
        decisions: What becomes of each image if every mirror has it.
    """
    # Nobody waits for a Pod here.
    settings = replace(settings or Availability(), budget=math.inf)
    return asyncio.run(probed(settings, decisions))


async def probed(settings: Availability, decisions: Sequence[Decision]) -> list[Probed]:
    """Ask, and choose when every answer is there."""
    prober = Prober(settings, time.monotonic, Aloud())
    chooser = prober.chooser()
    questions = {
        question.name: question
        for decision in decisions
        for option in options_of(decision)
        for question in (option.question, *option.proofs)
    }
    answers = [prober.inquirer.ask(question) for question in questions.values()]
    try:
        with progress(len(answers)) as bar:
            for answer in asyncio.as_completed(answers):
                await answer
                bar.advance(bar.task_ids[0])
        heard = {name: answer.result() for name, answer in zip(questions, answers, strict=True)}
        chosen = await chooser.choose(decisions, math.inf)
    finally:
        await prober.close()
    return [
        answered(decision, one, chooser, heard)
        for decision, one in zip(decisions, chosen, strict=True)
    ]


def answered(
    asked: Decision, chosen: Decision, chooser: Chooser, heard: dict[str, Finding]
) -> Probed:
    """Return a decision with its answers.

    Args:
        asked: The decision before anybody was asked.
        chosen: The decision after.
        chooser: Knows what candidates are worth in the light of trusted sources.
        heard: The answers by image.
    """
    options = options_of(asked)
    original = next((option for option in options if option.candidate is None), None)
    return Probed(
        chosen,
        Asked(original.question.name, heard[original.question.name]) if original else None,
        tuple(
            Asked(option.question.name, chooser.judged(option, heard))
            for option in options
            if option.candidate
        ),
    )


def progress(total: int) -> Progress:
    """Return a bar on standard error, which is there on a terminal only and goes at its end."""
    from rich.console import Console  # noqa: PLC0415 - only where something is shown
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415 - as above

    bar = Bar(
        TextColumn("Asking registries"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    bar.add_task("", total=total)
    return bar


def answer_cells(finding: Finding) -> tuple[str, str]:
    """Return the cells of a table for an answer: in words, and how long it took."""
    return finding.reason, f"{finding.seconds * 1000:.0f} ms" if finding.seconds else ""


def as_record(finding: Finding) -> dict[str, Any]:
    """Return an answer with the keys that ``--output json`` promises."""
    return {
        "answer": str(finding.answer),
        "answerReason": finding.reason,
        "seconds": round(finding.seconds, 4),
    }


def answer_rows(probed: Iterable[Probed]) -> list[tuple[str, ...]]:
    """Return the rows of a table of everything that was asked for."""
    return [
        (asked.image, *answer_cells(asked.finding))
        for each in probed
        for asked in ((each.original,) if each.original else ()) + each.candidates
    ]

"""Asking registries from the command line whether they have images."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from webhook.core import Availability, Outcome
from webhook.registry import Presence, Prober, Silent, options_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.progress import Progress

    from webhook.config import PolicySettings
    from webhook.core import Decision
    from webhook.registry import Chooser, Finding

__all__ = [
    "ANSWER_COLUMNS",
    "COLUMNS",
    "Asked",
    "MirrorProbe",
    "Probed",
    "answer_cells",
    "answer_rows",
    "as_record",
    "is_missing",
    "mirror_cells",
    "mirror_record",
    "probe",
    "probe_mirrors",
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


COLUMNS: Final = ("POLICY", "RULE", "MIRROR", "ASKED FOR", "ANSWER", "TIME")

NOT_ASKED: Final = "no image to ask for: name one with --image"

# Small images that have been there for years, under names that are not going away.
SAMPLES: Final = (
    "docker.io/library/busybox:latest",
    "gcr.io/distroless/static:latest",
    "ghcr.io/stefanprodan/podinfo:latest",
    "k8s.gcr.io/pause:3.9",
    "mcr.microsoft.com/hello-world:latest",
    "quay.io/prometheus/busybox:latest",
    "registry.k8s.io/pause:3.10",
)


class MirrorProbe(NamedTuple):
    """What was found out about one mirror of one rule.

    Attributes:
        policy: The policy's name.
        rule: The rule's name.
        mirror: The mirror's target.
        asked: What it was asked for, with the answer; None without an image to ask for.
    """

    policy: str
    rule: str
    mirror: str
    asked: Asked | None


def probe_mirrors(policy: PolicySettings, images: Iterable[str]) -> list[MirrorProbe]:
    """Ask each mirror of a policy for an image.

    Args:
        policy: The policy.
        images: Images that the mirrors should have; those of ours come after them.
    """
    decide = policy.mirrors.decide
    decisions = [
        decision
        for decision in map(decide, dict.fromkeys((*images, *SAMPLES)))
        if decision.outcome is Outcome.REWRITTEN
    ]
    found = answers(decisions, policy)
    return [
        MirrorProbe(policy.name, str(rule), mirror.target, found.get((str(rule), mirror.target)))
        for rule in policy.mirrors.rules
        for mirror in rule.mirrors
    ]


def answers(decisions: list[Decision], policy: PolicySettings) -> Mapping[tuple[str, str], Asked]:
    """Return the answers by rule and mirror; of several the first that has its image.

    A mirror in the middle of a chain is answered for by the end of it.
    """
    found: dict[tuple[str, str], Asked] = {}
    if not decisions:
        return found
    for before, each in zip(decisions, probe(policy.availability, decisions), strict=True):
        for candidate, asked in zip(before.candidates, each.candidates, strict=True):
            for rule, mirror in candidate.steps:
                known = found.setdefault((str(rule), mirror.target), asked)
                if known.finding.presence is not Presence.PRESENT:
                    found[str(rule), mirror.target] = better(known, asked)
    return found


def better(one: Asked, other: Asked) -> Asked:
    """Return the one of two answers that has its image; the first if neither has."""
    return other if other.finding.presence is Presence.PRESENT else one


def is_missing(probes: Iterable[MirrorProbe]) -> bool:
    """Say whether a mirror was asked, and is not known to have what it should."""
    return any(
        each.asked is not None and each.asked.finding.presence is not Presence.PRESENT
        for each in probes
    )


def mirror_cells(each: MirrorProbe) -> tuple[str, ...]:
    """Return the cells of a table for one mirror."""
    if each.asked is None:
        return each.policy, each.rule, each.mirror, "", NOT_ASKED, ""
    cells = answer_cells(each.asked.finding)
    return each.policy, each.rule, each.mirror, each.asked.image, *cells


def mirror_record(each: MirrorProbe) -> dict[str, Any]:
    """Return what was found out with the keys that ``--output json`` promises."""
    asked = each.asked
    return {
        "policy": each.policy,
        "rule": each.rule,
        "mirror": each.mirror,
        "image": asked.image if asked else None,
        **(
            as_record(asked.finding)
            if asked
            else {"answer": None, "answerReason": NOT_ASKED, "seconds": None}
        ),
    }

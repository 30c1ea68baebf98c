"""Ask registries for images from the command line, for ``--probe`` of several commands."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from webhook.cli.output import create_progress, show_table, show_text
from webhook.cli.registry_settings import add_user_settings
from webhook.core import Availability, Outcome
from webhook.registry import (
    CandidateSelector,
    NullObserver,
    create_checker,
    list_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from webhook.config import PolicySettings
    from webhook.core import Decision
    from webhook.registry import CheckResult

__all__ = [
    "CandidateResult",
    "MirrorProbe",
    "ProbedDecision",
    "StderrObserver",
    "add_results",
    "mirror_entry",
    "probe_candidates",
    "probe_mirrors",
    "show_mirrors",
    "show_results",
]

NOT_ASKED: Final = "no well-known image to ask for; name one with --image"
UNASKED: Final = ("", NOT_ASKED, "")
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


class CandidateResult(NamedTuple):
    """One image at one registry, and what the registry answered."""

    image: str
    check: CheckResult


class ProbedDecision(NamedTuple):
    """A decision by what registries have, with the answers for its candidates.

    The original image has an answer only if it was asked for.
    """

    decision: Decision
    original: CandidateResult | None
    candidates: tuple[CandidateResult, ...]


class MirrorProbe(NamedTuple):
    """The answer of one mirror of one rule; no result if there was no image to ask for."""

    policy: str
    rule: str
    mirror: str
    result: CandidateResult | None

    @property
    def is_missing(self) -> bool:
        """Whether the mirror was asked, and is not known to have the image."""
        return self.result is not None and not _is_present(self.result)


class StderrObserver(NullObserver):
    """Writes to standard error what went wrong while registries were asked."""

    def on_error(self, image: str, error: Exception) -> None:
        """Report an internal error, by its type."""
        click.echo(f"Warning: {image}: {type(error).__name__}", err=True)

    def on_problem(self, problem: str) -> None:
        """Report a file that cannot be used."""
        click.echo(f"Warning: {problem}", err=True)


def probe_candidates(
    settings: Availability | None, decisions: Sequence[Decision]
) -> list[ProbedDecision]:
    """Ask for every candidate, as the webhook does, but wait for all answers.

    Args:
        settings: How to ask; None for the defaults.
        decisions: The decision on each image if every mirror has it.
    """
    # No Pod is waiting here.
    settings = replace(add_user_settings(settings or Availability()), budget=math.inf)
    return asyncio.run(_probe(settings, decisions))


async def _probe(settings: Availability, decisions: Sequence[Decision]) -> list[ProbedDecision]:
    checker = create_checker(settings, time.monotonic, StderrObserver())
    selector = CandidateSelector(checker)
    checks = {
        check.image: check
        for decision in decisions
        for option in list_options(decision)
        for check in option.checks
    }
    answers = [checker.run(check) for check in checks.values()]
    try:
        with create_progress("Asking registries", len(answers)) as bar:
            for answer in asyncio.as_completed(answers):
                await answer
                bar.advance(bar.task_ids[0])
        results = {image: answer.result() for image, answer in zip(checks, answers, strict=True)}
        chosen = await selector.choose(decisions, math.inf)
    finally:
        await checker.close()
    return [
        _with_results(before, after, selector, results)
        for before, after in zip(decisions, chosen, strict=True)
    ]


def _with_results(
    before: Decision, after: Decision, selector: CandidateSelector, results: dict[str, CheckResult]
) -> ProbedDecision:
    """Return the decision *after* the answers, with the answers for what was asked *before*."""
    original, candidates = None, []
    for option in list_options(before):
        image = option.check.image
        if option.candidate is None:
            original = CandidateResult(image, results[image])
        else:
            candidates.append(CandidateResult(image, selector.evaluate(option, results)))
    return ProbedDecision(after, original, tuple(candidates))


def add_results(candidates: list[dict[str, Any]], probed: ProbedDecision) -> None:
    """Add the answers to the JSON entries of the candidates of a decision."""
    for entry, result in zip(candidates, probed.candidates, strict=True):
        entry.update(_result_entry(result))


def show_results(decisions: Iterable[ProbedDecision]) -> None:
    """Write a table of everything that was asked for."""
    rows = [
        (result.image, *_result_cells(result))
        for each in decisions
        for result in ((each.original,) if each.original else ()) + each.candidates
    ]
    show_text("")
    show_table(("CANDIDATE", "ANSWER", "TIME"), rows)


def probe_mirrors(policy: PolicySettings, images: Iterable[str]) -> list[MirrorProbe]:
    """Ask each mirror of a policy for an image.

    Args:
        policy: The policy.
        images: Images that the mirrors should have; well-known ones are tried after them.
    """
    decide = policy.mirrors.decide
    decisions = [
        decision
        for decision in map(decide, dict.fromkeys((*images, *SAMPLES)))
        if decision.outcome is Outcome.REWRITTEN
    ]
    results = _results_by_mirror(decisions, policy)
    return [
        MirrorProbe(policy.name, str(rule), mirror.target, results.get((str(rule), mirror.target)))
        for rule in policy.mirrors.rules
        for mirror in rule.mirrors
    ]


def _results_by_mirror(
    decisions: Sequence[Decision], policy: PolicySettings
) -> dict[tuple[str, str], CandidateResult]:
    """Return the answer for each rule and mirror; a mirror that has any image counts as present.

    A mirror in the middle of a chain of rules gets the answer for the end of the chain.
    """
    results: dict[tuple[str, str], CandidateResult] = {}
    if not decisions:
        return results
    probed = probe_candidates(policy.availability, decisions)
    for decision, each in zip(decisions, probed, strict=True):
        for candidate, result in zip(decision.candidates, each.candidates, strict=True):
            for rule, mirror in candidate.steps:
                key = str(rule), mirror.target
                if key not in results or (_is_present(result) and not _is_present(results[key])):
                    results[key] = result
    return results


def _is_present(result: CandidateResult) -> bool:
    return result.check.is_present


def show_mirrors(probes: Iterable[MirrorProbe]) -> None:
    """Write a table of the answers of mirrors."""
    rows = [
        (
            each.policy,
            each.rule,
            each.mirror,
            *((each.result.image, *_result_cells(each.result)) if each.result else UNASKED),
        )
        for each in probes
    ]
    if not rows:
        return
    show_text("")
    show_table(("POLICY", "RULE", "MIRROR", "ASKED FOR", "ANSWER", "TIME"), rows)


def mirror_entry(probe: MirrorProbe) -> dict[str, Any]:
    """Return the answer of a mirror with the keys that ``--output json`` promises."""
    result = probe.result
    return {
        "policy": probe.policy,
        "rule": probe.rule,
        "mirror": probe.mirror,
        "image": result.image if result else None,
        **(
            _result_entry(result)
            if result
            else {"answer": None, "answerReason": NOT_ASKED, "seconds": None}
        ),
    }


def _result_cells(result: CandidateResult) -> tuple[str, str]:
    """Return an answer for a table: in words, and how long it took."""
    seconds = result.check.seconds
    return result.check.reason, f"{seconds * 1000:.0f} ms" if seconds else ""


def _result_entry(result: CandidateResult) -> dict[str, Any]:
    """Return an answer with the keys that ``--output json`` promises."""
    check = result.check
    return {
        "answer": str(check.status),
        "answerReason": check.reason,
        "seconds": round(check.seconds, 4),
    }

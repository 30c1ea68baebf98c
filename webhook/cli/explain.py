"""`mirrorhook explain`: what would become of images, and why."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.options import load_policy, rules_options
from webhook.cli.output import listing, output_option, show, show_json, show_records
from webhook.core import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from webhook.cli.probe import Probed
    from webhook.core import Decision

__all__ = ["explain"]

STDIN: Final = "-"
FAILED: Final = 1
STYLES: Final = {
    Outcome.REWRITTEN: "green",
    Outcome.INVALID: "red",
    Outcome.UNAVAILABLE: "yellow",
    Outcome.UNCONFIRMED: "yellow",
}
WORD: Final = max(map(len, Outcome))


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@rules_options
@click.option(
    "--probe",
    is_flag=True,
    help="Ask the registries of all candidates, as availability: {mode: check} does.",
)
@output_option
@click.pass_context
def explain(
    context: click.Context,
    images: tuple[str, ...],
    config: Path | None,
    profile: tuple[str, ...],
    policy: str,
    probe: bool,
    output: str,
) -> None:
    """Say what would become of each IMAGE, and why.

    An IMAGE of - takes names from standard input, one a line; blank lines and lines
    that begin with # are skipped. Nothing is asked over the network without --probe.

    The exit code is 1 if an IMAGE is no image name.

    \b
    mirrorhook explain --profile daocloud nginx:1.27 registry.k8s.io/pause:3.10
    kubeadm config images list | mirrorhook explain --config rules.yaml -
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    settings = load_policy(config, profile, policy)
    decisions = [settings.mirrors.decide(image) for image in asked(images)]
    probed: list[Probed] = []
    if probe:
        from webhook.cli.probe import probe as ask  # noqa: PLC0415 - for this option only

        probed = ask(settings.availability, decisions)
        decisions = [each.decision for each in probed]
    if output == "json":
        show_json(as_objects(decisions, probed))
    else:
        for decision in decisions:
            show_records(rows_of(decision), title=printable(decision.original))
        show_answers(probed)
    if any(decision.outcome is Outcome.INVALID for decision in decisions):
        context.exit(FAILED)


def as_objects(decisions: list[Decision], probed: list[Probed]) -> list[dict[str, Any]]:
    """Return decisions with the keys that ``--output json`` promises.

    Args:
        decisions: The decisions.
        probed: The same with the answers of registries; empty where none was asked.
    """
    objects = [as_object(decision) for decision in decisions]
    if probed:
        from webhook.cli.probe import as_record  # noqa: PLC0415 - as above

        for entry, each in zip(objects, probed, strict=True):
            for candidate, answer in zip(entry["candidates"], each.candidates, strict=True):
                candidate.update(as_record(answer.finding))
    return objects


def show_answers(probed: list[Probed]) -> None:
    """Write for people what registries answered; nothing where none was asked."""
    if probed:
        from webhook.cli.probe import (  # noqa: PLC0415 - as above
            ANSWER_COLUMNS,
            answer_rows,
        )

        show("", listing(("CANDIDATE", *ANSWER_COLUMNS), answer_rows(probed)))


def asked(images: tuple[str, ...]) -> Iterator[str]:
    """Yield the images, those on standard input in the place of ``-``."""
    for image in images:
        if image != STDIN:
            yield image
            continue
        content = sys.stdin.buffer.read().decode("utf-8-sig", "replace")
        for line in content.split("\n"):
            text = line.strip()
            if text and not text.startswith("#"):
                yield text


def as_object(decision: Decision) -> dict[str, Any]:
    """Return a decision with the keys that ``--output json`` promises."""
    reference, rule = decision.reference, decision.rule
    return {
        "image": decision.original,
        "outcome": str(decision.outcome),
        "result": decision.image,
        "rule": rule.name if rule else None,
        "profile": (rule.source or None) if rule else None,
        "reason": decision.reason,
        "candidates": [
            {"image": str(candidate), "reason": candidate.reason}
            for candidate in decision.candidates
        ],
        "registry": reference.registry if reference else None,
        "repository": reference.repository if reference else None,
        "tag": reference.tag if reference else None,
        "digest": reference.digest if reference else None,
    }


def rows_of(decision: Decision) -> list[tuple[str, str, str]]:
    """Return for people what becomes of an image, and why."""
    word = f"{decision.outcome:<{WORD}}"
    style = STYLES.get(decision.outcome, "")
    if decision.candidate is None:
        rows = [(word, style, decision.reason)]
    else:
        rows = [(word, style, decision.image), ("why", "dim", decision.reason)]
    others = decision.candidates if decision.candidate is not None else ()
    for candidate in others:
        if candidate is decision.candidate:
            continue
        rows += [("or", "dim", str(candidate)), ("", "", candidate.reason)]
    return rows


def printable(text: str) -> str:
    """Return *text* with what a terminal would act on written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

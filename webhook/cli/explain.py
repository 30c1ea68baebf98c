"""`mirrorhook explain`: what the rules do to images, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.completion import complete_images
from webhook.cli.options import (
    EXIT_FAILED,
    context_option,
    kubeconfig_option,
    load_policy,
    namespace_option,
    output_option,
    read_image_names,
    refuse_rules,
    rules_options,
)
from webhook.cli.output import escape_controls, show_json, show_records
from webhook.config import Mode
from webhook.core import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from webhook.cli.cluster_rules import ClusterRules, RuleOrigin
    from webhook.core import Decision

__all__ = ["explain"]

STYLES: Final = {
    Outcome.REWRITTEN: "green",
    Outcome.INVALID: "red",
    Outcome.UNAVAILABLE: "yellow",
    Outcome.UNCONFIRMED: "yellow",
}
WORD: Final = max(map(len, Outcome))


@click.command()
@click.argument(
    "images", metavar="IMAGE...", nargs=-1, required=True, shell_complete=complete_images
)
@rules_options
@click.option(
    "--cluster",
    is_flag=True,
    help="Use the rules of a cluster, with its ClusterMirrorRules and MirrorRules.",
)
@namespace_option("With --cluster: namespace of the Pods.  [default: one without MirrorRules]")
@context_option
@kubeconfig_option
@click.option(
    "--probe",
    is_flag=True,
    help="Ask the registries of all candidates, as the webhook does with availability.mode: check.",
)
@output_option
@click.pass_context
def explain(
    context: click.Context,
    images: tuple[str, ...],
    config: Path | None,
    profile: tuple[str, ...],
    policy: str,
    cluster: bool,
    namespace: str,
    kube_context: str | None,
    kubeconfig: Path | None,
    probe: bool,
    output: str,
) -> None:
    """Show what the rules do to each IMAGE, and why.

    An IMAGE of - reads names from standard input, one per line; blank lines and lines
    that begin with # are skipped. Without --probe and --cluster nothing is sent over the
    network.

    The exit code is 1 if an IMAGE is not a valid image name.

    \b
    Examples:
      mirrorhook explain --profile daocloud nginx:1.27 registry.k8s.io/pause:3.10
      kubeadm config images list | mirrorhook explain --config rules.yaml -
      mirrorhook explain --cluster --namespace shop nginx:1.27
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    rules: ClusterRules | None = None
    if cluster:
        from webhook.cli import cluster_rules  # noqa: PLC0415 - see main.py

        refuse_rules(config, profile)
        rules = cluster_rules.load_cluster_rules(kubeconfig, kube_context, policy, namespace)
        settings = rules.find(namespace)
    else:
        if namespace or kube_context:
            raise click.UsageError("--namespace and --context need --cluster")
        settings = load_policy(config, profile, policy)
    if settings.mode is Mode.OBSERVE:
        click.echo(f"Note: policy {policy} has mode observe, and changes no Pods", err=True)
    decisions = [settings.mirrors.decide(image) for image in read_image_names(images)]
    if probe:
        from webhook.cli import probe as registries  # noqa: PLC0415 - see main.py

        probed = registries.probe_candidates(settings.availability, decisions)
        decisions = [each.decision for each in probed]
    origins = [rules.trace(decision) if rules else [] for decision in decisions]
    entries = [
        _describe_decision(decision) | {"origins": [each.describe() for each in found]}
        for decision, found in zip(decisions, origins, strict=True)
    ]
    if probe:
        for entry, each in zip(entries, probed, strict=True):
            registries.add_results(entry["candidates"], each)
    if output == "json":
        show_json(entries)
    else:
        _show_decisions(decisions, origins)
        if probe:
            registries.show_results(probed)
    if any(decision.outcome is Outcome.INVALID for decision in decisions):
        context.exit(EXIT_FAILED)


def _show_decisions(decisions: list[Decision], origins: list[list[RuleOrigin]]) -> None:
    for decision, found in zip(decisions, origins, strict=True):
        rows = _format_decision(decision)
        rows += [("from", "dim", str(each)) for each in found]
        show_records(rows, title=escape_controls(decision.original))


def _describe_decision(decision: Decision) -> dict[str, Any]:
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
            {"image": candidate.image, "reason": candidate.reason}
            for candidate in decision.candidates
        ],
        "registry": reference.registry if reference else None,
        "repository": reference.repository if reference else None,
        "tag": reference.tag if reference else None,
        "digest": reference.digest if reference else None,
    }


def _format_decision(decision: Decision) -> list[tuple[str, str, str]]:
    """Return what happens to an image, and why, for people."""
    word = f"{decision.outcome:<{WORD}}"
    style = STYLES.get(decision.outcome, "")
    if decision.candidate is None:
        return [(word, style, decision.reason)]
    rows = [(word, style, decision.image), ("why", "dim", decision.reason)]
    for candidate in decision.candidates:
        if candidate is not decision.candidate:
            rows += [("or", "dim", candidate.image), ("", "", candidate.reason)]
    return rows

"""`mirrorhook audit`: the images in use, by whom, and what the rules make of them."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from webhook.cli.image_states import (
    AuditEntry,
    ImageState,
    PodSelection,
    audit_images,
    probe_entries,
    read_selection,
)
from webhook.cli.images_in_use import COLLECTIONS, read_cluster_images, read_manifest_images
from webhook.cli.options import (
    EXIT_FAILED,
    choose_output,
    cluster_options,
    explain_cluster_errors,
    files_argument,
    load_policy,
    open_cluster,
    refuse_rules,
    rules_options,
)
from webhook.cli.output import escape_controls, show_json, show_markdown, show_table, show_text
from webhook.config import Mode
from webhook.kube import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from webhook.config import PolicySettings
    from webhook.core import Decision

    # Returns the policy as it applies in a namespace.
    FindSettings = Callable[[str], PolicySettings]
    Table = tuple[Sequence[str], list[Sequence[str]]]

__all__ = ["audit"]

OUTPUTS: Final = ("table", "json", "csv", "markdown", "policyreport")
# An API server refuses objects of more than 1.5 MB.
RESULTS_PER_REPORT: Final = 500
# Results of a PolicyReport by state; all others are skipped.
RESULTS: Final = {
    ImageState.MIRRORED: "pass",
    ImageState.WOULD_CHANGE: "warn",
    ImageState.NO_RULE: "fail",
    ImageState.NOT_IN_MIRROR: "fail",
    ImageState.INVALID: "error",
}


def _parse_states(
    context: click.Context, option: click.Parameter, text: str
) -> frozenset[ImageState]:
    known = {state.lower(): state for state in ImageState}
    states = [part.strip().lower() for part in text.split(",") if part.strip()]
    for state in states:
        if state not in known:
            raise click.BadParameter(
                f"unknown state {state!r}; the states are: {', '.join(ImageState)}",
                ctx=context,
                param=option,
            )
    return frozenset(known[state] for state in states)


@click.command()
@files_argument
@rules_options
@click.option(
    "--cluster",
    is_flag=True,
    help="Use the rules of the cluster, with its ClusterMirrorRules and MirrorRules.",
)
@cluster_options
@click.option("--probe", is_flag=True, help="Ask the mirrors whether they have the images.")
@click.option(
    "--fail-on",
    default="",
    callback=_parse_states,
    metavar="STATE,...",
    help='Exit with 1 if an image has one of these states, such as "no rule,invalid".',
)
@choose_output(OUTPUTS, "Output for people (table, markdown) or for programs.")
@click.pass_context
def audit(
    context: click.Context,
    files: tuple[Path, ...],
    config: Path | None,
    profile: tuple[str, ...],
    policy: str,
    cluster: bool,
    kubeconfig: Path | None,
    kube_context: str | None,
    namespace: str,
    probe: bool,
    fail_on: frozenset[ImageState],
    output: str,
) -> None:
    """List the images in use, who uses them, and what the rules make of each.

    Reads the Pods and workloads of a cluster, also those scaled to zero, or the manifests in
    each FILE or folder; - is standard input. Nothing is changed.

    The exit code is 1 if an image has a state of --fail-on, or a document cannot be read.

    \b
    Examples:
      mirrorhook audit --config rules.yaml --namespace shop
      mirrorhook audit --cluster --fail-on "no rule"
      mirrorhook audit --config rules.yaml --probe --output csv > images.csv
      helm template chart/ | mirrorhook audit -c rules.yaml --fail-on "no rule,invalid" -
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    cluster_given = [
        name
        for name in ("cluster", "kubeconfig", "kube_context", "namespace")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if files and cluster_given:
        raise click.UsageError("give either FILE or the options of a cluster, not both")
    find: FindSettings
    if cluster:
        from webhook.cli import cluster_rules  # noqa: PLC0415 - see main.py

        refuse_rules(config, profile)
        find = cluster_rules.load_cluster_rules(kubeconfig, kube_context, policy, namespace).find
    else:
        settings = load_policy(config, profile, policy)
        find = lambda _: settings  # noqa: E731 - one of two
    problems: list[str] = []
    if files:
        images = read_manifest_images(files, problems.append)
        entries = audit_images(images, partial(_decide, find), PodSelection())
    else:
        entries = _audit_cluster(policy, find, kubeconfig, kube_context, namespace)
    _warn_of_observers(policy, entries, find)
    if probe:
        entries = _probe_by_settings(entries, find)
    _show(entries, output)
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems or any(entry.state in fail_on for entry in entries):
        context.exit(EXIT_FAILED)


def _decide(find: FindSettings, namespace: str, image: str) -> Decision:
    return find(namespace).mirrors.decide(image)


def _warn_of_observers(policy: str, entries: list[AuditEntry], find: FindSettings) -> None:
    """Write to standard error where nothing is changed whatever the rules."""
    if find("").mode is Mode.OBSERVE:
        click.echo(f"Note: policy {policy} has mode observe, and changes no Pods", err=True)
        return
    namespaces = dict.fromkeys(each.namespace for each in entries)
    observers = [each for each in namespaces if find(each).mode is Mode.OBSERVE]
    if observers:
        note = f"the MirrorRules of {', '.join(observers)} have mode observe, and change no Pods"
        click.echo(f"Note: {note}", err=True)


def _probe_by_settings(entries: list[AuditEntry], find: FindSettings) -> list[AuditEntry]:
    """Return entries with their states by what the mirrors have."""
    from webhook.cli.probe import probe_candidates  # noqa: PLC0415 - see main.py

    groups: dict[int, tuple[PolicySettings, list[AuditEntry]]] = {}
    for entry in entries:
        settings = find(entry.namespace)
        groups.setdefault(id(settings), (settings, []))[1].append(entry)
    probed = []
    for settings, members in groups.values():
        ask = partial(probe_candidates, settings.availability)
        probed += probe_entries(members, settings, ask)
    return sorted(probed)


def _audit_cluster(
    policy: str,
    find: FindSettings,
    kubeconfig: Path | None,
    kube_context: str | None,
    namespace: str,
) -> list[AuditEntry]:
    with explain_cluster_errors():
        client = open_cluster(kubeconfig, kube_context)
        images = read_cluster_images(client, namespace)
        note = f"the cluster has no webhook for policy {policy}"
        try:
            selection = read_selection(client, policy, namespace)
        except ClusterError as error:
            selection, note = PodSelection(), str(error)
        entries = audit_images(images, partial(_decide, find), selection)
    if not selection.rewriters:
        click.echo(f"Note: all namespaces count as selected: {note}", err=True)
    return entries


def _show(entries: list[AuditEntry], output: str) -> None:
    if output == "json":
        summary = {
            key: {name: dict(states) for name, states in _count_states(entries, field)}
            for key, field in (("namespaces", "namespace"), ("registries", "registry"))
        }
        show_json({"images": [_describe_entry(entry) for entry in entries], "summary": summary})
    elif output == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, AuditEntry._fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(_describe_entry, entries))
        click.echo(text.getvalue().encode(errors="backslashreplace"), nl=False)
    elif output == "policyreport":
        reports = _create_reports(entries, int(time.time()))
        show_json({"apiVersion": "v1", "kind": "List", "items": reports})
    elif not entries:
        show_text("No images found.")
    else:
        show = show_markdown if output == "markdown" else show_table
        for index, (columns, rows) in enumerate(_create_tables(entries)):
            if index:
                show_text("")
            show(columns, rows)


def _describe_entry(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry with the keys that ``--output json`` and ``csv`` promise."""
    return entry._asdict() | {
        "registry": entry.registry or None,
        "rule": entry.rule or None,
        "file": entry.file or None,
    }


def _count_states(
    entries: Iterable[AuditEntry], field: str
) -> list[tuple[str, Counter[ImageState]]]:
    """Return how many entries have each state, by the values of a field."""
    counts: defaultdict[str, Counter[ImageState]] = defaultdict(Counter)
    for entry in entries:
        counts[getattr(entry, field)][entry.state] += 1
    return sorted(counts.items())


def _create_tables(entries: list[AuditEntry]) -> Iterator[Table]:
    """Yield the columns and the rows of each table for people."""
    columns = ("NAMESPACE", "OWNER", "CONTAINER", "IMAGE", "PODS", "STATE", "WHY")
    rows = [
        (
            entry.namespace or "-",
            f"{entry.kind}/{entry.name}",
            entry.container,
            entry.image,
            "-" if entry.file else str(entry.pods),
            entry.state,
            entry.reason,
        )
        for entry in entries
    ]
    yield columns, [[escape_controls(cell) for cell in row] for row in rows]
    for field in ("namespace", "registry"):
        counts = [
            (name or "-", str(states.total()), _describe_states(states))
            for name, states in _count_states(entries, field)
        ]
        total = Counter(entry.state for entry in entries)
        counts.append(("all", str(total.total()), _describe_states(total)))
        yield (field.upper(), "IMAGES", "STATES"), [*counts]


def _describe_states(states: Counter[ImageState]) -> str:
    return ", ".join(f"{states[state]} {state}" for state in ImageState if states[state])


def _create_reports(entries: Iterable[AuditEntry], now: int) -> list[dict[str, Any]]:
    """Return a `PolicyReport`_ for each namespace, or several with many results.

    Args:
        entries: The entries.
        now: Seconds since 1970.

    .. _PolicyReport: https://github.com/kubernetes-sigs/wg-policy-prototypes
    """
    results: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        results[entry.namespace].append(_create_result(entry, now))
    return [
        _create_report(namespace, number, found[start : start + RESULTS_PER_REPORT])
        for namespace, found in results.items()
        for number, start in enumerate(range(0, len(found), RESULTS_PER_REPORT), start=1)
    ]


def _create_report(namespace: str, number: int, results: list[dict[str, Any]]) -> dict[str, Any]:
    name = "mirrorhook-audit" if number == 1 else f"mirrorhook-audit-{number}"
    labels = {"app.kubernetes.io/managed-by": "mirrorhook"}
    return {
        "apiVersion": "wgpolicyk8s.io/v1alpha2",
        "kind": "PolicyReport",
        "metadata": {"name": name, "labels": labels}
        | ({"namespace": namespace} if namespace else {}),
        "summary": {"pass": 0, "fail": 0, "warn": 0, "error": 0, "skip": 0}
        | Counter(each["result"] for each in results),
        "results": results,
    }


def _create_result(entry: AuditEntry, now: int) -> dict[str, Any]:
    resource = {"kind": entry.kind, "name": entry.name}
    if entry.namespace:
        resource["namespace"] = entry.namespace
    if entry.kind in COLLECTIONS:
        resource["apiVersion"] = COLLECTIONS[entry.kind].split("/", 2)[2]
    return {
        "source": "mirrorhook",
        "policy": "mirrorhook-audit",
        "rule": str(entry.state),
        "result": RESULTS.get(entry.state, "skip"),
        "scored": True,
        "message": f"{entry.image}: {entry.reason}",
        "resources": [resource],
        "properties": {"container": entry.container, "image": entry.image, "result": entry.result},
        "timestamp": {"seconds": now, "nanos": 0},
    }

"""`mirrorhook doctor`: what keeps Pods from being rewritten, and what mends it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.doctor.report import Verdict
from webhook.cli.options import SetupError, kubeconfig_option, open_cluster, output_option
from webhook.cli.output import show_json, show_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from webhook.cli.doctor.report import Finding
    from webhook.kube.reading import Reader

__all__ = ["doctor"]

FAILED: Final = 1

STYLES: Final = {
    Verdict.FINE: "green",
    Verdict.DOUBT: "yellow",
    Verdict.WRONG: "red",
    Verdict.UNKNOWN: "dim",
}


@click.command()
@click.argument("what", nargs=-1, metavar="[pod NAMESPACE/NAME]")
@click.option("--namespace", "-n", metavar="NAME", help="Look at this namespace as well.")
@click.option("--image", metavar="IMAGE", help="Try a Pod of it in the namespace, in a dry run.")
@kubeconfig_option
@output_option
@click.pass_context
def doctor(
    context: click.Context,
    what: tuple[str, ...],
    namespace: str | None,
    image: str | None,
    kubeconfig: Path | None,
    output: str,
) -> None:
    """Look at a cluster step by step, say what is wrong, and what mends it.

    With a Pod, say why each of its images is what it is.

    Nothing is changed; a Pod is created in a dry run if there is a --namespace.

    The exit code is 1 if anything is wrong.

    \b
    mirrorhook doctor --namespace shop
    mirrorhook doctor pod shop/web-7d4b9c-x2x7k
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    from webhook.kube import ClusterError  # noqa: PLC0415 - for this command

    pod = pod_of(what)
    if image and not namespace:
        raise click.UsageError("--image is tried in a namespace: give --namespace NAME")
    try:
        reader = open_cluster(kubeconfig)
        found = looked(reader, pod, namespace, image)
        findings = [*told(found)] if output != "json" else [*found]
    except ClusterError as error:
        raise SetupError(
            f"{error}; give --kubeconfig FILE of a cluster that you may read"
        ) from None
    if output == "json":
        show_json([as_object(each) for each in findings])
    if any(each.verdict is Verdict.WRONG for each in findings):
        context.exit(FAILED)


def pod_of(what: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the namespace and the name of the Pod that is asked for."""
    if not what:
        return None
    kind, *rest = what
    namespace, slash, name = rest[0].partition("/") if len(rest) == 1 else ("", "", "")
    if kind not in {"pod", "pods", "po"} or not (namespace and slash and name):
        raise click.UsageError(f"{' '.join(what)!r} is not `pod NAMESPACE/NAME`")
    return namespace, name


def looked(
    reader: Reader, pod: tuple[str, str] | None, namespace: str | None, image: str | None
) -> Iterator[Finding]:
    """Yield what is found, one look after the other."""
    from webhook.cli.doctor.checks import (  # noqa: PLC0415 - for this command alone
        look_at_cluster,
        look_at_namespace,
    )
    from webhook.cli.doctor.installation import read_cluster  # noqa: PLC0415
    from webhook.cli.doctor.pods import look_at_pod  # noqa: PLC0415

    if pod:
        yield from look_at_pod(reader, read_cluster(reader), *pod)
        return
    yield from look_at_cluster(reader, datetime.now(UTC))
    if namespace:
        yield from look_at_namespace(reader, read_cluster(reader), namespace, image)


def told(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Show each finding as soon as it is there, and pass it on."""
    for each in findings:
        rows = [(f"{each.verdict:<7}", STYLES[each.verdict], f"{each.check}: {each.what}")]
        if each.mend:
            rows.append(("mend", "bold", each.mend))
        show_records(rows)
        yield each


def as_object(finding: Finding) -> dict[str, Any]:
    """Return a finding with the keys that ``--output json`` promises."""
    return {
        "check": finding.check,
        "verdict": str(finding.verdict),
        "what": finding.what,
        "mend": finding.mend or None,
    }

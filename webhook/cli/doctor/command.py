"""`mirrorhook doctor`: find out why Pods are not rewritten, and how to fix it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from webhook.cli.doctor.checks import check_cluster, check_namespace
from webhook.cli.doctor.installation import read_installation
from webhook.cli.doctor.pods import explain_pod
from webhook.cli.doctor.report import FindingStatus, describe_finding, show_findings
from webhook.cli.options import (
    EXIT_FAILED,
    SetupError,
    kubeconfig_option,
    open_cluster,
    output_option,
)
from webhook.cli.output import show_json
from webhook.kube import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from webhook.cli.doctor.report import Finding
    from webhook.kube.client import KubeClient

__all__ = ["doctor"]


@click.command()
@click.argument("what", nargs=-1, metavar="[pod NAMESPACE/NAME]")
@click.option("--namespace", "-n", metavar="NAME", help="Check this namespace, too.")
@click.option("--image", metavar="IMAGE", help="Image of the Pod that is tried in the namespace.")
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
    """Check a cluster step by step, and report what is wrong and how to fix it.

    With a Pod, explain why each of its images is what it is.

    Nothing is changed. With --namespace a Pod is created in a dry run.

    The exit code is 1 if anything is wrong.

    \b
    Examples:
      mirrorhook doctor --namespace shop
      mirrorhook doctor pod shop/web-7d4b9c-x2x7k
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    pod = _parse_pod(what) if what else None
    if image and not namespace:
        raise click.UsageError("--image needs --namespace NAME")
    try:
        found = _find(open_cluster(kubeconfig), pod, namespace, image)
        findings = [*found] if output == "json" else [*show_findings(found)]
    except ClusterError as error:
        problem = str(error).rstrip(".")
        raise SetupError(f"{problem}; give --kubeconfig FILE of a cluster to read") from None
    if output == "json":
        show_json([describe_finding(each) for each in findings])
    if any(each.status is FindingStatus.WRONG for each in findings):
        context.exit(EXIT_FAILED)


def _parse_pod(what: tuple[str, ...]) -> tuple[str, str]:
    """Return the namespace and the name of the Pod in the arguments."""
    kind, *rest = what
    namespace, slash, name = rest[0].partition("/") if len(rest) == 1 else ("", "", "")
    if kind not in {"pod", "pods", "po"} or not (namespace and slash and name):
        raise click.UsageError(f"expected `pod NAMESPACE/NAME`, got {' '.join(what)!r}")
    return namespace, name


def _find(
    reader: KubeClient, pod: tuple[str, str] | None, namespace: str | None, image: str | None
) -> Iterator[Finding]:
    """Yield the findings, check by check."""
    if pod:
        yield from explain_pod(reader, read_installation(reader), *pod)
        return
    yield from check_cluster(reader, datetime.now(UTC))
    if namespace:
        yield from check_namespace(reader, read_installation(reader), namespace, image)

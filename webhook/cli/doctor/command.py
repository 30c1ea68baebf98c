"""`mirrorhook doctor`: find out why Pods are not rewritten, and how to fix it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from webhook.cli.doctor.checks import check_cluster
from webhook.cli.doctor.installation import read_installation
from webhook.cli.doctor.pods import explain_pod
from webhook.cli.doctor.report import (
    FindingStatus,
    catch_errors,
    describe_finding,
    show_findings,
)
from webhook.cli.options import (
    EXIT_FAILED,
    NAMESPACE,
    OBJECT_NAME,
    NamespaceName,
    context_option,
    explain_cluster_errors,
    kubeconfig_option,
    open_cluster,
    output_option,
)
from webhook.cli.output import show_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from webhook.cli.doctor.report import Finding
    from webhook.config import PolicySettings
    from webhook.core import Decision
    from webhook.kube.client import KubeClient
    from webhook.registry import CheckResult

__all__ = ["doctor"]

PODS: Final = ("pod", "pods", "po")
USAGE: Final = ("`pod [NAMESPACE/]NAME`", "`pod/NAME`")


@click.command()
@click.argument("what", nargs=-1, metavar="[pod [NAMESPACE/]NAME]")
@click.option(
    "--namespace",
    "-n",
    type=NamespaceName(),
    metavar="NAME",
    help="Check this namespace, too.",
)
@click.option("--image", metavar="IMAGE", help="Image of the Pod that is tried in the namespace.")
@context_option
@kubeconfig_option
@output_option
@click.pass_context
def doctor(
    context: click.Context,
    what: tuple[str, ...],
    namespace: str | None,
    image: str | None,
    kubeconfig: Path | None,
    kube_context: str | None,
    output: str,
) -> None:
    """Check a cluster step by step, and report what is wrong and how to fix it.

    With a Pod, explain why each of its images is what it is.

    Nothing is changed. With --namespace a Pod is created in a dry run.

    The exit code is 1 if any result is not ok, and 2 if the API server cannot be asked.

    \b
    Examples:
      mirrorhook doctor --namespace shop
      mirrorhook doctor pod shop/web-7d4b9c-x2x7k
      mirrorhook doctor -n shop pod/web-7d4b9c-x2x7k
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    pod = _parse_pod(what, namespace) if what else None
    if image and (pod or not namespace):
        raise click.UsageError("--image needs --namespace NAME, and no Pod")
    with explain_cluster_errors("to read"):
        found = _find(open_cluster(kubeconfig, kube_context), pod, namespace, image)
        findings = [*found] if output == "json" else [*show_findings(found)]
    if output == "json":
        show_json([describe_finding(each) for each in findings])
    if any(each.status is not FindingStatus.OK for each in findings):
        context.exit(EXIT_FAILED)


def _parse_pod(what: tuple[str, ...], namespace: str | None) -> tuple[str, str]:
    """Return namespace and name of the Pod in the arguments, as kubectl takes them.

    The namespace is empty if none is given.
    """
    kind, _, name = what[0].partition("/") if len(what) == 1 else (what[0], "", what[1])
    space, slash, rest = name.partition("/")
    space, name = (space, rest) if slash else ("", name)
    is_named = OBJECT_NAME.fullmatch(name) and (NAMESPACE.fullmatch(space) if slash else True)
    if kind not in PODS or len(what) > len(USAGE) or not is_named:
        text = " ".join(what)
        raise click.UsageError(f"expected {' or '.join(USAGE)}, got {text!r}")
    if slash and namespace not in {None, space}:
        raise click.UsageError(f"the Pod is in namespace {space}, but --namespace is {namespace}")
    return space or namespace or "", name


def _find(
    reader: KubeClient, pod: tuple[str, str] | None, namespace: str | None, image: str | None
) -> Iterator[Finding]:
    """Yield the findings, check by check."""
    if pod:
        reader.get("/version")  # an API server that cannot be asked is another kind of failure
        space, name = pod[0] or reader.namespace, pod[1]
        found = explain_pod(reader, read_installation(reader), space, name, _probe)
        yield from catch_errors("Pod", found)
        return
    yield from check_cluster(reader, datetime.now(UTC), namespace, image)


def _probe(settings: PolicySettings, decision: Decision) -> dict[str, CheckResult]:
    """Ask the mirrors for the candidates of a decision."""
    from webhook.cli.probe import probe_candidates  # noqa: PLC0415 - see main.py

    (probed,) = probe_candidates(settings.availability, [decision])
    return {each.image: each.check for each in probed.candidates}

"""`mirrorhook copy`: fill a mirror with images, or carry them in an archive."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import ssl
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from webhook.cli.copy_archive import Archive
from webhook.cli.copy_engines import COPY_ENGINES, CopyEngine, find_copy_engine
from webhook.cli.copy_plan import (
    NO_IMAGE,
    CopyStatus,
    CopyTask,
    merge_tasks,
    pin_tasks,
    plan_copy,
    render_regsync,
)
from webhook.cli.images_in_use import decide_originals, read_cluster_images, read_manifest_images
from webhook.cli.options import (
    EXIT_FAILED,
    PlatformName,
    SetupError,
    cluster_options,
    explain_cluster_errors,
    load_configuration,
    load_policy,
    open_cluster,
    output_option,
    read_image_names,
    rules_options,
)
from webhook.cli.output import create_progress, escape_controls, show_json, show_table
from webhook.cli.registry_settings import add_user_settings
from webhook.core import Availability
from webhook.core.errors import CHECK_PATH
from webhook.core.reference import is_domain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from webhook.cli.copy_run import CopyRun
    from webhook.config import PolicySettings
    from webhook.core import Decision, ImageReference, Platform

__all__ = ["copy"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Seconds for our own question to a registry; then the engine asks.
QUESTION_SECONDS: Final = 5.0
SELECTIVE: Final = "use --plan script --engine regctl"
SPARSE: Final = (
    "with several platforms regsync keeps each index as it is, but not its other images, which "
    f"most registries refuse; {SELECTIVE}"
)
STYLES: Final = {
    CopyStatus.COPIED: "green",
    CopyStatus.SAVED: "green",
    CopyStatus.SKIPPED: "yellow",
    CopyStatus.STOPPED: "yellow",
    CopyStatus.FAILED: "red",
}
WORD: Final = max(map(len, CopyStatus))


@click.command()
@click.argument("images", metavar="[IMAGE...]", nargs=-1)
@rules_options
@click.option(
    "--manifests",
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Copy the images of manifests in a file, a folder, or - for standard input; "
    "may be repeated.",
)
@click.option(
    "--cluster",
    is_flag=True,
    help="Copy the images of a cluster's Pods and workloads; by the rules of the cluster, if none "
    "are given.",
)
@click.option(
    "--custom-resources",
    is_flag=True,
    help="With --cluster and --config: add the ClusterMirrorRules and MirrorRules of the cluster.",
)
@cluster_options
@click.option(
    "--engine",
    type=click.Choice([*COPY_ENGINES]),
    help="Program that copies.  [default: the first that is installed]",
)
@click.option(
    "--parallel",
    "-j",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="How many images are copied at once.",
)
@click.option(
    "--platform",
    "platforms",
    type=PlatformName(),
    multiple=True,
    metavar="OS/ARCH",
    help="Copy this platform only; may be repeated.  [default: all]",
)
@click.option("--referrers", is_flag=True, help="Copy referrers, too: signatures, SBOMs …")
@click.option("--digest-tags", is_flag=True, help="Copy tags such as sha256-….sig of cosign, too.")
@click.option(
    "--archive",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to carry images in, with --save or --load.",
)
@click.option("--save", is_flag=True, help="Copy from upstream to the archive.")
@click.option(
    "--load",
    is_flag=True,
    help="Copy from the archive to the mirrors; all its images, if none is named.",
)
@click.option(
    "--plain-http", multiple=True, metavar="REGISTRY", help="Registry without TLS; may be repeated."
)
@click.option(
    "--plan",
    type=click.Choice(("list", "regsync", "skopeo", "script")),
    help="Write a plan instead of copying.",
)
@click.option(
    "--plan-file",
    type=click.File("w", encoding="utf-8"),
    default="-",
    metavar="FILE",
    help="Write the plan to this file.  [default: standard output]",
)
@output_option
@click.pass_context
def copy(
    context: click.Context,
    images: tuple[str, ...],
    config: Path | None,
    profile: tuple[str, ...],
    policy: str,
    manifests: tuple[Path, ...],
    cluster: bool,
    custom_resources: bool,
    kubeconfig: Path | None,
    kube_context: str | None,
    namespace: str,
    engine: str | None,
    parallel: int,
    platforms: tuple[Platform, ...],
    referrers: bool,
    digest_tags: bool,
    archive: Path | None,
    save: bool,
    load: bool,
    plain_http: tuple[str, ...],
    plan: str | None,
    plan_file: IO[str],
    output: str,
) -> None:
    """Copy each IMAGE from upstream to its first mirror, with regctl, skopeo or crane.

    An IMAGE of - reads names from standard input, one per line; blank lines and lines
    that begin with # are skipped. What a mirror has already is not copied again.

    The exit code is 1 if an IMAGE could not be copied; the others are still copied.

    \b
    Examples:
      mirrorhook copy --config rules.yaml nginx:1.27 registry.k8s.io/pause:3.10
      mirrorhook copy --config rules.yaml --cluster --plan regsync > regsync.yaml
      mirrorhook copy --config rules.yaml --archive usb/ --save --manifests deploy/
      mirrorhook copy --config rules.yaml --archive usb/ --load
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    is_named = bool(images or manifests or cluster)
    has_file = context.get_parameter_source("plan_file") is ParameterSource.COMMANDLINE
    for is_wrong, problem in (
        (save and load, "give either --save or --load, not both"),
        (bool(archive) != (save or load), "give --archive DIR with --save or --load"),
        (archive and plan, "give either --archive or --plan, not both"),
        (not is_named and not load, "give images, --manifests FILE or --cluster"),
        ((namespace or kube_context) and not cluster, "--namespace and --context need --cluster"),
        (has_file and not plan, "--plan-file needs --plan"),
        (custom_resources and not cluster, "--custom-resources needs --cluster"),
    ):
        if is_wrong:
            raise click.UsageError(problem)
    is_own = bool(cluster and not config and not profile)
    find = _find_rules(
        config, profile, policy, kubeconfig, kube_context, namespace, is_own, custom_resources
    )
    settings = find(namespace)
    chosen = tuple(dict.fromkeys(platforms))
    reached = _read_settings(settings.availability, plain_http)
    opened = Archive(archive) if archive else None
    names = [*read_image_names(images)]
    is_whole = _add_manifests(manifests, names, settings.mirrors.decide)
    if opened and load:
        archived = opened.list_images()
        names += [] if is_named else [str(image.reference) for image in archived]
    given = {*names}
    decisions = [settings.mirrors.decide(name) for name in names]
    decisions += _read_cluster(kubeconfig, kube_context, namespace, find) if cluster else []
    tasks = merge_tasks(map(plan_copy, decisions))
    tasks = pin_tasks(tasks) if plan else tasks
    tasks = [_skip_unplanned(task) if task.image not in given else task for task in tasks]
    if not tasks:
        raise click.UsageError("there is no image to copy")
    wanted = {"plain_http": reached.plain_http, "referrers": referrers, "digest_tags": digest_tags}
    copier = _create_engine("skopeo" if plan == "skopeo" else engine, plan, wanted)
    gap = copier.find_gap(platforms=len(chosen), is_archive=opened is not None)
    if gap and plan not in ("regsync", "list"):
        raise click.UsageError(gap)
    if plan:
        text = _render_plan(plan, tasks, copier, chosen, parallel, _read_ca_files(reached))
        click.echo(text, plan_file, nl=False)
        context.exit(EXIT_FAILED if not is_whole or _has_failed(tasks) else 0)
    if opened and save:
        opened.create()
    saving, loading = (opened if save else None), (opened if load else None)
    code = _copy_all(tasks, copier, reached, chosen, parallel, saving, loading, output)
    context.exit(code or (0 if is_whole else EXIT_FAILED))


def _find_rules(
    config: Path | None,
    profile: tuple[str, ...],
    policy: str,
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    is_own: bool,
    custom_resources: bool,
) -> Callable[[str], PolicySettings]:
    """Return what finds the policy in a namespace: of the cluster, or as the options say."""
    if is_own or custom_resources:
        from webhook.cli import cluster_rules  # noqa: PLC0415 - see main.py

        if is_own:
            rules = cluster_rules.load_cluster_rules(kubeconfig, context, policy, namespace)
            return rules.find
        loaded = load_configuration(config, profile)
        return cluster_rules.extend_rules(loaded, kubeconfig, context, policy, namespace)
    settings = load_policy(config, profile, policy)
    return lambda _: settings


def _read_settings(settings: Availability | None, plain_http: tuple[str, ...]) -> Availability:
    """Return how we ask registries: as in the rules, with the options and logins of the user."""
    settings = settings or Availability()
    for host in plain_http:
        if not is_domain(host):
            problem = f"{host!r} is not a registry: write host or host:port"
            raise click.BadParameter(problem, param_hint="--plain-http")
    return replace(
        add_user_settings(settings),
        timeout=QUESTION_SECONDS,
        platforms=(),
        plain_http=settings.plain_http | {*plain_http},
    )


def _add_manifests(
    manifests: tuple[Path, ...], names: list[str], decide: Callable[[str], Decision]
) -> bool:
    """Add the images of manifests to *names*; return whether all could be read."""
    problems: list[str] = []
    if manifests:
        found = read_manifest_images(manifests, problems.append)
        names += [each.original for each in decide_originals(found, lambda _: decide)]
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    return not problems


def _read_cluster(
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    find: Callable[[str], PolicySettings],
) -> list[Decision]:
    with explain_cluster_errors():
        found = read_cluster_images(open_cluster(kubeconfig, context), namespace)
        decisions = decide_originals(found, lambda each: find(each).mirrors.decide)
    return sorted(decisions, key=lambda each: (each.original, each.image))


def _create_engine(name: str | None, plan: str | None, settings: Mapping[str, Any]) -> CopyEngine:
    """Return the engine; plans don't need its program."""
    if plan:
        name = name or next(iter(COPY_ENGINES))
        return COPY_ENGINES[name](program=name, **settings)
    kind, program = find_copy_engine(name)
    return kind(program=program, **settings)


def _skip_unplanned(task: CopyTask) -> CopyTask:
    """Return a task of a cluster, in which anybody may have names that nobody can pull."""
    return replace(task, status=CopyStatus.SKIPPED) if task.status is CopyStatus.FAILED else task


def _render_plan(
    plan: str,
    tasks: list[CopyTask],
    engine: CopyEngine,
    platforms: tuple[Platform, ...],
    parallel: int,
    ca_files: Mapping[str, bytes],
) -> str:
    """Return what would be copied, and write the rest to standard error."""
    planned = [task for task in tasks if task.is_planned]
    for task in tasks:
        if not task.is_planned:
            click.echo(_describe(task), err=True)
    if plan == "list":
        return "".join(f"{task.source} {task.target}\n" for task in planned)
    if plan == "regsync":
        if len(platforms) > 1:
            click.echo(f"Note: {SPARSE}", err=True)
        return render_regsync(planned, engine, ca_files, platforms, parallel)
    if platforms and engine.name != "regctl":
        raise click.UsageError(f"a script of {engine.name} copies all platforms; {SELECTIVE}")
    lines = ["#!/bin/sh", "code=0"]
    for task in planned:
        source, target = engine.locate(task.source), engine.locate(task.target)
        command = engine.copy(source, target, () if task.source.digest else platforms)
        lines.append(f"{shlex.join(command)} || code=1")
    return "".join(f"{line}\n" for line in [*lines, "exit $code"])


def _read_ca_files(settings: Availability) -> dict[str, bytes]:
    """Return the certificates of the rules by registry."""
    try:
        return {host: Path(file).read_bytes() for host, file in settings.ca_files}
    except OSError as error:
        problem = f"CA file {error.filename} cannot be read: {error.strerror}; {CHECK_PATH}"
        raise SetupError(problem) from None


def _has_failed(tasks: list[CopyTask]) -> bool:
    return any(task.status is CopyStatus.FAILED for task in tasks)


def _copy_all(
    tasks: list[CopyTask],
    engine: CopyEngine,
    settings: Availability,
    platforms: tuple[Platform, ...],
    parallel: int,
    saving: Archive | None,
    loading: Archive | None,
    output: str,
) -> int:
    """Copy all images and report the results; return the exit code."""
    from webhook.cli.copy_run import CopyRun  # noqa: PLC0415 - HTTP is not for plans
    from webhook.cli.probe import StderrObserver  # noqa: PLC0415 - as above
    from webhook.registry import create_client  # noqa: PLC0415 - as above

    with (
        tempfile.TemporaryDirectory(prefix="mirrorhook-") as folder,
        create_progress("Copying images", len(tasks)) as bar,
    ):

        def report(task: CopyTask) -> None:
            bar.advance(bar.task_ids[0])
            style = STYLES.get(task.status, "")
            bar.console.print(
                _describe(task), style=style, markup=False, highlight=False, soft_wrap=True
            )

        async def start() -> int:
            client = create_client(settings, time.monotonic, StderrObserver().on_problem)
            run = CopyRun(
                tasks=tasks,
                engine=engine,
                environment=os.environ | _trust_files(settings, Path(folder)),
                client=client,
                platforms=platforms,
                parallel=parallel,
                report=report,
                saving=saving,
                loading=loading,
            )
            try:
                return await _run_until_signal(run)
            finally:
                await client.close()
                tasks[:] = run.tasks

        number = asyncio.run(start())
    if number:
        tasks = [
            replace(task, status=CopyStatus.STOPPED) if task.is_planned else task for task in tasks
        ]
    if output == "json":
        show_json([_to_object(task, engine) for task in tasks])
    else:
        show_table(("STATUS", "IMAGE", "TARGET OR REASON"), map(_list_cells, tasks))
    counts = Counter(task.status for task in tasks)
    summary = ", ".join(f"{counts[each]} {each}" for each in CopyStatus if counts[each])
    prefix = f"Stopped by {signal.Signals(number).name}: " if number else ""
    advice = "; run it again to copy the rest" if number else ""
    click.echo(f"{prefix}{summary}{advice}", err=True)
    if number:
        return 128 + number  # as a shell has it
    return EXIT_FAILED if _has_failed(tasks) else 0


async def _run_until_signal(run: CopyRun) -> int:
    """Copy; return the number of the signal that has stopped it, or 0."""
    received: list[int] = []
    work = asyncio.ensure_future(run.run())

    def stop(number: int) -> None:
        if not received:
            work.cancel()
        received.append(number)

    loop = asyncio.get_running_loop()
    handled = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    for number in handled:
        loop.add_signal_handler(number, stop, number)
    try:
        await asyncio.wait([work])
        if not work.cancelled():
            work.result()
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
    return received[0] if received else 0


def _trust_files(settings: Availability, folder: Path) -> dict[str, str]:
    """Return the variable that makes engines trust our CA files, besides those of the system."""
    if not settings.ca_files:
        return {}
    system = ssl.get_default_verify_paths().cafile
    trusted = [Path(system).read_bytes()] if system else []
    bundle = folder / "ca.pem"
    bundle.write_bytes(b"\n".join([*trusted, *_read_ca_files(settings).values()]))
    return {"SSL_CERT_FILE": str(bundle)}


def _describe(task: CopyTask) -> str:
    """Return what has become of an image, in a line, with its notes in others."""
    _, image, detail = _list_cells(task)
    joint = " to " if task.status is CopyStatus.COPIED else ": "
    notes = [f"Note: {image}: {note}" for note in task.notes]
    return "\n".join([f"{task.status:<{WORD}} {image}{joint}{detail}", *notes])


def _list_cells(task: CopyTask) -> tuple[str, str, str]:
    has_reason = task.status in (CopyStatus.FAILED, CopyStatus.SKIPPED)
    detail = task.reason if has_reason else str(task.target)
    return str(task.status), escape_controls(task.image), escape_controls(detail)


def _to_object(task: CopyTask, engine: CopyEngine) -> dict[str, Any]:
    """Return a result with the keys that ``--output json`` promises."""

    def name(reference: ImageReference) -> str | None:
        return None if reference == NO_IMAGE else str(reference)

    return {
        "image": escape_controls(task.image),
        "status": str(task.status),
        "source": name(task.source),
        "target": name(task.target),
        "digest": task.digest or None,
        "reason": escape_controls(task.reason),
        "notes": list(task.notes),
        "engine": engine.name,
    }

"""`mirrorhook copy`: images from upstream to their mirrors, or by way of an archive."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from webhook.cli.copying.options import platform_values, reaching, registry_options
from webhook.cli.options import (
    SetupError,
    kubeconfig_option,
    load_policy,
    output_option,
    read_image_names,
    rules_options,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.core import Decision
    from webhook.transfer import Archive

__all__ = ["copy"]

FAILED: Final = 1
# As shells have it: 128 and the number of the signal.
INTERRUPTED: Final = 128 + signal.SIGINT
SAVE: Final = "save"
LOAD: Final = "load"


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
@click.option("--cluster", is_flag=True, help="Copy the images of all Pods of a cluster.")
@kubeconfig_option
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH",
    help="Copy for this platform alone; may be repeated.  [default: all]",
)
@click.option(
    "--archive",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to carry images in, with --save or --load.",
)
@click.option("--save", "way", flag_value=SAVE, help="Copy from upstream to the archive.")
@click.option(
    "--load",
    "way",
    flag_value=LOAD,
    help="Copy from the archive to the mirrors; all of it, if no image is named.",
)
@registry_options
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="How many images, and how many blobs, are on their way at once.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 3600),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a registry may be silent.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan with sizes, and send nothing.")
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
    kubeconfig: Path | None,
    platforms: tuple[str, ...],
    archive: Path | None,
    way: str | None,
    credentials: tuple[Path, ...],
    authorities: tuple[str, ...],
    plain_http: tuple[str, ...],
    jobs: int,
    timeout: float,
    dry_run: bool,
    output: str,
) -> None:
    """Copy each IMAGE from upstream to its first mirror, with all platforms and referrers.

    An IMAGE of - takes names from standard input, one a line; blank lines and lines
    that begin with # are skipped. What a mirror has already is not sent again.

    The exit code is 1 if an IMAGE could not be copied; the others are copied all the same.

    \b
    Examples:
      mirrorhook copy --config rules.yaml nginx:1.27 registry.k8s.io/pause:3.10
      mirrorhook copy --config rules.yaml --cluster --dry-run
      mirrorhook copy --config rules.yaml --archive usb/ --save --manifests deploy/
      mirrorhook copy --config rules.yaml --archive usb/ --load
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    if bool(archive) != bool(way):
        raise click.UsageError("give --archive DIR with --save or --load, or none of them")
    is_named = bool(images or manifests or cluster)
    if not is_named and way != LOAD:
        raise click.UsageError("give images, --manifests FILE or --cluster")
    settings = load_policy(config, profile, policy)
    chosen = platform_values(platforms)
    reached = reaching(settings.availability, credentials, authorities, plain_http)
    decide = settings.mirrors.decide
    opened = archive_for(archive, way, dry_run=dry_run) if archive else None
    if opened and not is_named:
        decisions = [decide(str(reference)) for reference, _ in opened.images()]
        is_whole = True
    else:
        decisions, is_whole = read_decisions(images, manifests, decide)
        decisions += read_cluster(kubeconfig, decide) if cluster else []
    from webhook.cli.copying.run import Run  # noqa: PLC0415 - HTTP is not for all
    from webhook.transfer import distinct, order_for  # noqa: PLC0415 - as above

    orders = distinct(map(order_for, decisions))
    if not orders:
        raise click.UsageError("there is no image to copy")
    run = Run(
        settings=reached,
        platforms=chosen,
        saving=opened if way == SAVE else None,
        loading=opened if way == LOAD else None,
        jobs=jobs,
        silence=timeout,
        is_plan=dry_run,
        is_json=output == "json",
    )
    try:
        results = asyncio.run(run.copied(orders))
    except KeyboardInterrupt:
        click.echo("Interrupted: the next run goes on from here", err=True)
        context.exit(INTERRUPTED)
    if not run.told(results) or not is_whole:
        context.exit(FAILED)


def read_decisions(
    images: tuple[str, ...], manifests: tuple[Path, ...], decide: Callable[[str], Decision]
) -> tuple[list[Decision], bool]:
    """Return the decisions on images and manifests, and whether all of these could be read."""
    decisions, is_whole = [decide(image) for image in read_image_names(images)], True
    if manifests:
        from webhook.cli.copying.images import from_manifests  # noqa: PLC0415

        found, is_whole = from_manifests(manifests, decide)
        decisions += found
    return decisions, is_whole


def read_cluster(kubeconfig: Path | None, decide: Callable[[str], Decision]) -> list[Decision]:
    """Return the decisions on the images of a cluster's Pods."""
    from webhook.cli.copying.images import from_cluster  # noqa: PLC0415 - for this option

    return [decide(image) for image in from_cluster(kubeconfig)]


def archive_for(folder: Path, way: str | None, *, dry_run: bool) -> Archive:
    """Return the archive in a folder.

    Raises:
        click.ClickException: It is none, or cannot be made.
    """
    from webhook.transfer import Archive, InvalidArchiveError  # noqa: PLC0415 - as above

    try:
        if way == LOAD:
            return Archive.opened(folder)
        if dry_run and not folder.exists():
            return Archive(folder)
        return Archive.made(folder)
    except InvalidArchiveError as error:
        raise SetupError(f"{error}: name another folder by --archive") from None

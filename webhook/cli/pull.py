"""`mirrorhook pull`: pull images from mirrors, under their original names."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from webhook.cli.engines import AUTO, ENGINES, MissingEngineError, find_engine, run_program
from webhook.cli.options import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    SetupError,
    load_policy,
    output_option,
    read_image_names,
    rules_options,
)
from webhook.cli.output import escape_controls, show_json, show_records
from webhook.cli.puller import Puller, original_names, plan_pull, remove_duplicates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from webhook.cli.engines import Engine
    from webhook.cli.puller import PullJob, PullResult

__all__ = ["pull"]

SPINNER: Final = "-\\|/"
FRAMES_PER_SECOND: Final = 8


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@rules_options
@click.option(
    "--engine",
    "-e",
    type=click.Choice([AUTO, *ENGINES]),
    default=AUTO,
    show_default=True,
    help=f"Container engine; {AUTO} uses the first of these that is on the PATH.",
)
@click.option(
    "--namespace",
    metavar="NAME",
    help="Namespace of containerd, for nerdctl; the kubelet uses k8s.io.",
)
@click.option("--platform", metavar="OS/ARCH", help="Pull for another platform.")
@click.option("--keep-mirror-tag", is_flag=True, help="Keep the names at the mirror, too.")
@click.option(
    "--dry-run", is_flag=True, help="Write the commands as a shell script, without running them."
)
@output_option
@click.pass_context
def pull(
    context: click.Context,
    images: tuple[str, ...],
    config: Path | None,
    profile: tuple[str, ...],
    policy: str,
    engine: str,
    namespace: str | None,
    platform: str | None,
    keep_mirror_tag: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Pull each IMAGE from its mirror, and tag it with its original name.

    The name at the mirror is removed. Mirrors are tried in the order of the rules; the
    image's own registry comes last, or where the rule's `original` puts it. An image that
    no rule matches is pulled from its own registry.

    An IMAGE of - reads names from standard input, one per line; blank lines and lines
    that begin with # are skipped.

    The exit code is 1 if an IMAGE could not be pulled; the others are still pulled.

    \b
    Examples:
      mirrorhook pull --profile daocloud nginx:1.27 registry.k8s.io/pause:3.10
      kubeadm config images list | mirrorhook pull --config rules.yaml --engine crictl -
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    decide = load_policy(config, profile, policy).mirrors.decide
    selected = _select_engine(engine, namespace, platform)
    jobs = remove_duplicates(plan_pull(decide(image)) for image in read_image_names(images))
    if not jobs:
        raise click.UsageError("no image names on standard input")
    puller = Puller(selected, run_program, platform, keep_mirror_tag)
    if dry_run:
        context.exit(_show_script(jobs, puller))
    results: list[PullResult] = []
    try:
        with _exit_on_sigterm():
            for result in _pull_all(jobs, puller):
                results.append(result)
                if output != "json":
                    _show_result(result)
    except KeyboardInterrupt:
        click.echo(f"Interrupted: {len(results)} of {len(jobs)} images done", err=True)
        context.exit(EXIT_INTERRUPTED)
    if output == "json":
        show_json([_result_entry(result) for result in results])
    failed = [result for result in results if not result.is_pulled]
    if failed:
        _show_failures(failed, len(results), selected.name)
        context.exit(EXIT_FAILED)


def _select_engine(name: str, namespace: str | None, platform: str | None) -> Engine:
    """Return the engine that the options ask for; it is a `SetupError` if there is none."""
    try:
        engine = find_engine(name, shutil.which)
    except MissingEngineError as error:
        raise SetupError(str(error)) from None
    if platform is not None and not engine.takes_platform:
        raise SetupError(
            f"{engine.name} cannot pull for another platform: remove --platform, or "
            "choose another --engine"
        )
    if namespace is None:
        return engine
    if not engine.takes_namespace:
        raise SetupError(
            f"--namespace works with nerdctl only, and the engine is {engine.name}: remove "
            "it, or add --engine nerdctl"
        )
    return engine.in_namespace(namespace)


def _pull_all(jobs: Sequence[PullJob], puller: Puller) -> Iterator[PullResult]:
    """Do the jobs one after the other, and show the progress of each."""
    for number, job in enumerate(jobs, start=1):
        count = f"{number} of {len(jobs)}  " if len(jobs) > 1 else ""
        with _show_progress(count + job.image) as on_progress:
            result = puller.pull(job, on_progress)
        yield result


@contextmanager
def _show_progress(title: str) -> Iterator[Callable[[str, str], None]]:
    """Show on a terminal what is being done until the end of the block.

    It yields the function that takes the name being pulled, and the engine's last line.
    """
    if not sys.stdout.isatty():
        yield lambda _source, _line: None
        return
    start = time.monotonic()
    progress = ["", ""]

    def on_progress(source: str, line: str) -> None:
        progress[:] = source, line

    def render_lines() -> Group:
        seconds = time.monotonic() - start
        spinner = SPINNER[int(seconds * FRAMES_PER_SECOND) % len(SPINNER)]
        minutes, rest = divmod(int(seconds), 60)
        source, line = progress
        return Group(
            _crop(f"{spinner} {minutes}:{rest:02}  {escape_controls(title)}"),
            _crop(f"  {source}  {escape_controls(line)}", "dim"),
        )

    with Live(
        console=Console(highlight=False, markup=False, emoji=False),
        get_renderable=render_lines,
        refresh_per_second=FRAMES_PER_SECOND,
        transient=True,
    ):
        yield on_progress


def _crop(line: str, style: str = "") -> Text:
    """Return a line that is cut at the width of the terminal."""
    return Text(line, style, no_wrap=True, overflow="crop")


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the block as Ctrl-C does, so that no engine is left running."""

    def end(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    handler = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _show_result(result: PullResult) -> None:
    """Write the line of an image, and on standard error its notes."""
    image = escape_controls(result.job.image)
    if result.is_pulled:
        show_records([("pulled", "green", f"{image} from {result.source}")], indent="")
        for failure in result.failures:
            error = escape_controls(failure.error)
            click.echo(f"Note: {image}: {failure.source} failed: {error}", err=True)
    else:
        error = escape_controls(result.failures[-1].error)
        show_records([("failed", "red", f"{image}: {error}")], indent="")
    for note in result.notes:
        click.echo(f"Note: {image}: {escape_controls(note)}", err=True)


def _show_failures(failed: Sequence[PullResult], total: int, engine: str) -> None:
    """Write to standard error which images were not pulled, and each reason."""
    click.echo(f"Error: {engine} could not pull {len(failed)} of {total} images:", err=True)
    for result in failed:
        click.echo(f"  {escape_controls(result.job.image)}", err=True)
        for failure in result.failures:
            click.echo(f"    {escape_controls(str(failure))}", err=True)


def _result_entry(result: PullResult) -> dict[str, Any]:
    """Return a result with the keys that ``--output json`` promises."""
    return {
        "image": escape_controls(result.job.image),
        "status": "pulled" if result.is_pulled else "failed",
        "source": result.source,
        "names": list(result.names),
        "reason": result.job.reason,
        "failures": [
            {"source": failure.source or None, "error": failure.error}
            for failure in result.failures
        ],
        "notes": list(result.notes),
    }


def _show_script(jobs: Sequence[PullJob], puller: Puller) -> int:
    """Write all commands, and return the exit code."""
    lines = [line for job in jobs for line in _script_lines(job, puller)]
    click.echo("\n".join(lines).encode())
    impossible = [job for job in jobs if not job.sources]
    for job in impossible:
        click.echo(f"Error: {escape_controls(job.image)}: {job.reason}", err=True)
    return EXIT_FAILED if impossible else 0


def _script_lines(job: PullJob, puller: Puller) -> Iterator[str]:
    """Yield the commands for a job if its first source has it, and the others as comments."""
    engine, reference = puller.engine, job.reference
    if reference is None or not job.sources:
        yield f"# {escape_controls(job.image)} cannot be pulled: {job.reason}"
        return
    first, *others = job.sources
    image = first.image
    yield f"# {job.image}: {job.reason}"
    yield shlex.join(engine.pull(image, puller.platform))
    if first.is_mirror:
        names = original_names(engine, reference, [image])
        yield from (shlex.join(engine.tag(image, name)) for name in names)
        if names and not puller.keeps_mirror_names:
            yield shlex.join(engine.remove(image))
    yield from (f"# or from {other.image}" for other in others)

"""`mirrorhook pull`: pull images from mirrors, under their original names."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from webhook.cli.completion import complete_images
from webhook.cli.engines import AUTO, ENGINES, MissingEngineError, Programs, find_engine
from webhook.cli.options import (
    EXIT_FAILED,
    PlatformName,
    SetupError,
    load_policy,
    output_option,
    read_image_names,
    rules_options,
)
from webhook.cli.output import escape_controls, show_json, show_records
from webhook.cli.puller import Puller, original_names, plan_pull, remove_duplicates
from webhook.cli.shell import EXIT_INTERRUPTED, EXIT_TERMINATED, Terminated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from webhook.cli.engines import Engine
    from webhook.cli.puller import PullJob, PullResult
    from webhook.core import Platform

__all__ = ["pull"]

# Each engine itself loads several layers of an image at once (Docker and containerd: three).
PARALLEL: Final = 4
MAX_PARALLEL: Final = 16
PERIOD: Final = 30.0  # seconds between reports where there is no terminal
SPINNER: Final = "-\\|/"
FRAMES_PER_SECOND: Final = 8


@click.command()
@click.argument(
    "images", metavar="IMAGE...", nargs=-1, required=True, shell_complete=complete_images
)
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
@click.option(
    "--platform", type=PlatformName(), metavar="OS/ARCH", help="Pull for another platform."
)
@click.option(
    "--parallel",
    "-j",
    type=click.IntRange(1, MAX_PARALLEL),
    default=PARALLEL,
    show_default=True,
    help="How many images are pulled at once.",
)
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
    platform: Platform | None,
    parallel: int,
    keep_mirror_tag: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Pull each IMAGE from its mirror, and tag it with its original name.

    The name at the mirror is removed. Several images are pulled at the same time, and the
    results are in the order of the images. Mirrors are tried in the order of the rules; the
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
    selected = _select_engine(engine, namespace, platform, is_needed=not dry_run)
    jobs = remove_duplicates(plan_pull(decide(image)) for image in read_image_names(images))
    if not jobs:
        raise click.UsageError("no image names on standard input")
    programs = Programs()
    puller = Puller(selected, programs.run, str(platform) if platform else None, keep_mirror_tag)
    if dry_run:
        context.exit(_show_script(jobs, puller))
    results: list[PullResult] = []
    try:
        for result in _pull_all(jobs, puller, programs, parallel):
            results.append(result)
            if output != "json":
                _show_result(result)
    except (KeyboardInterrupt, Terminated) as signalled:
        is_interrupt = isinstance(signalled, KeyboardInterrupt)
        word = "Interrupted" if is_interrupt else "Terminated"
        click.echo(f"{word}: {len(results)} of {len(jobs)} images done", err=True)
        context.exit(EXIT_INTERRUPTED if is_interrupt else EXIT_TERMINATED)
    if output == "json":
        show_json([_result_entry(result) for result in results])
    failed = [result for result in results if not result.is_pulled]
    if failed:
        _show_failures(failed, len(results), selected.name)
        context.exit(EXIT_FAILED)


def _select_engine(
    name: str, namespace: str | None, platform: Platform | None, *, is_needed: bool
) -> Engine:
    """Return the engine that the options ask for.

    If no command is run, as for a script, it need not be installed; Docker is then the default.

    Raises:
        SetupError: It is not installed, or cannot do what the options ask for.
    """
    try:
        engine = find_engine(name, shutil.which)
    except MissingEngineError as error:
        if is_needed:
            raise SetupError(str(error)) from None
        engine = ENGINES.get(name, ENGINES["docker"])
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


@dataclass
class _Active:
    """A running job, for the display of its progress.

    Attributes:
        title: What the display calls it.
        start: When it began, by the monotonic clock.
        source: The name that is being pulled.
        line: The last line of the engine.
    """

    title: str
    start: float
    source: str = ""
    line: str = ""

    def update(self, source: str, line: str) -> None:
        """Show another name, or another line of the engine."""
        self.source, self.line = source, line

    @property
    def age(self) -> str:
        """Minutes and seconds since the start."""
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        return f"{minutes}:{seconds:02}"


def _pull_all(
    jobs: Sequence[PullJob], puller: Puller, programs: Programs, limit: int
) -> Iterator[PullResult]:
    """Run at most *limit* jobs at a time, and yield the results in the order of the jobs."""
    waiting = dict(enumerate(jobs))
    active: dict[Future[PullResult], tuple[int, _Active]] = {}
    done: dict[int, PullResult] = {}
    count = 0
    with ThreadPoolExecutor(limit) as executor:
        try:
            while waiting or active:
                busy = [puller.names_used(jobs[number]) for number, _ in active.values()]
                for number, job in list(waiting.items()):
                    used = puller.names_used(job)
                    if len(active) < limit and all(map(used.isdisjoint, busy)):
                        del waiting[number]
                        busy.append(used)
                        title = f"{number + 1} of {len(jobs)}  " if len(jobs) > 1 else ""
                        shown = _Active(title + job.image, time.monotonic())
                        _announce_start(number, jobs)
                        active[executor.submit(puller.pull, job, shown.update)] = number, shown
                for future in _wait(active):
                    done[active.pop(future)[0]] = future.result()
                while count in done:
                    yield done[count]
                    count += 1
        finally:
            programs.stop()


def _announce_start(number: int, jobs: Sequence[PullJob]) -> None:
    """Report which of several images begins, where no terminal shows the progress."""
    if len(jobs) > 1 and not sys.stdout.isatty():
        image = escape_controls(jobs[number].image)
        click.echo(f"Pulling {number + 1} of {len(jobs)}: {image}", err=True)


def _wait(active: Mapping[Future[PullResult], tuple[int, _Active]]) -> Iterable[Future[PullResult]]:
    """Wait until a job is done, and show the progress of the running ones."""
    shown = [each for _, each in active.values()]
    if sys.stdout.isatty():
        with _show_progress(shown):
            return wait(active, return_when=FIRST_COMPLETED).done
    while not (done := wait(active, PERIOD, FIRST_COMPLETED).done):
        for each in shown:
            line = f": {escape_controls(each.line)}" if each.line else ""
            click.echo(f"Still pulling {each.source} after {each.age}{line}", err=True)
    return done


def _show_progress(shown: Sequence[_Active]) -> Live:
    """Show the running jobs on a terminal until the end of the block."""

    def render_lines() -> Group:
        spinner = SPINNER[int(time.monotonic() * FRAMES_PER_SECOND) % len(SPINNER)]
        lines = []
        for each in shown:
            lines.append(_crop(f"{spinner} {each.age}  {escape_controls(each.title)}"))
            lines.append(_crop(f"  {each.source}  {escape_controls(each.line)}", "dim"))
        return Group(*lines)

    return Live(
        console=Console(highlight=False, markup=False, emoji=False),
        get_renderable=render_lines,
        refresh_per_second=FRAMES_PER_SECOND,
        transient=True,
    )


def _crop(line: str, style: str = "") -> Text:
    """Return a line that is cut at the width of the terminal."""
    return Text(line, style, no_wrap=True, overflow="crop")


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

"""`mirrorhook pull`: images from their mirrors, under their own names."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.engines import AUTO, ENGINES, MissingEngineError, find_engine, run_program
from webhook.cli.explain import asked, printable
from webhook.cli.options import load_policy, rules_options
from webhook.cli.output import output_option, show_json, show_records
from webhook.cli.puller import Puller, distinct, names_to_give, order_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from rich.console import RenderableType

    from webhook.cli.engines import Engine
    from webhook.cli.puller import Order, Result

__all__ = ["as_object", "pull", "show_result", "show_summary", "working"]

FAILED: Final = 1

USAGE_EXIT: Final = 2

# As shells have it: 128 and the number of the signal.
INTERRUPTED: Final = 128 + signal.SIGINT


class EngineFailure(click.ClickException):
    """An engine that cannot do what is asked: the exit code is that of a wrong usage."""

    exit_code = USAGE_EXIT


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@rules_options
@click.option(
    "--engine",
    "-e",
    type=click.Choice([AUTO, *ENGINES]),
    default=AUTO,
    show_default=True,
    help=f"Container engine; {AUTO} takes the first of these that is on the PATH.",
)
@click.option(
    "--namespace",
    metavar="NAME",
    help="Namespace of containerd, for nerdctl; the kubelet's is k8s.io.",
)
@click.option("--platform", metavar="OS/ARCH", help="Pull for another platform.")
@click.option(
    "--keep-mirror-tag", is_flag=True, help="Leave images their names at the mirror, too."
)
@click.option("--dry-run", is_flag=True, help="Write the commands as a shell script, and run none.")
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
    """Pull each IMAGE from its mirror, name it as the original, and remove the mirror's name.

    Mirrors are tried in the order of the rules; the image's own registry comes last, or
    where the rule's `original` says. An image that no rule maps is pulled as it is.

    An IMAGE of - takes names from standard input, one a line; blank lines and lines
    that begin with # are skipped.

    The exit code is 1 if an IMAGE could not be pulled; the others are pulled all the same.

    \b
    mirrorhook pull --profile daocloud nginx:1.27 registry.k8s.io/pause:3.10
    kubeadm config images list | mirrorhook pull --config rules.yaml --engine crictl -
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    decide = load_policy(config, profile, policy).mirrors.decide
    tool = engine_for(engine, namespace, platform)
    orders = distinct(order_for(decide(image)) for image in asked(images))
    if not orders:
        raise click.UsageError("there is no image name on standard input")
    puller = Puller(tool, run_program, platform, keep_mirror_tag)
    if dry_run:
        context.exit(show_script(orders, puller))
    results: list[Result] = []
    try:
        with ending_on_request():
            for result in pulled(orders, puller):
                results.append(result)
                if output != "json":
                    show_result(result)
    except KeyboardInterrupt:
        click.echo(f"Interrupted: {len(results)} of {len(orders)} images done", err=True)
        context.exit(INTERRUPTED)
    if output == "json":
        show_json([as_object(result) for result in results])
    show_summary(results, tool.name)
    if not all(result.is_pulled for result in results):
        context.exit(FAILED)


def engine_for(name: str, namespace: str | None, platform: str | None) -> Engine:
    """Return the engine that the options ask for.

    Raises:
        click.ClickException: It is not there, or an option is not for it.
    """
    try:
        engine = find_engine(name, shutil.which)
    except MissingEngineError as error:
        raise EngineFailure(str(error)) from None
    if platform is not None and not engine.takes_platform:
        raise EngineFailure(
            f"{engine.name} cannot pull for another platform: leave out --platform, or "
            "name another --engine"
        )
    if namespace is None:
        return engine
    if not engine.takes_namespace:
        raise EngineFailure(
            f"--namespace is for nerdctl, and the engine is {engine.name}: leave it out, "
            "or add --engine nerdctl"
        )
    return engine.in_namespace(namespace)


def pulled(orders: Sequence[Order], puller: Puller) -> Iterator[Result]:
    """Yield what becomes of each order, one after the other, and show what is being done."""
    for number, order in enumerate(orders, start=1):
        count = f"{number} of {len(orders)}  " if len(orders) > 1 else ""
        with working(count + order.image) as heard:
            result = puller.pull(order, heard)
        yield result


def show_script(orders: Sequence[Order], puller: Puller) -> int:
    """Write all commands, and return the exit code."""
    lines = [line for order in orders for line in script(order, puller)]
    click.echo("\n".join(lines).encode())
    hopeless = [order for order in orders if not order.sources]
    for order in hopeless:
        click.echo(f"Error: {printable(order.image)}: {order.reason}", err=True)
    return FAILED if hopeless else 0


def script(order: Order, puller: Puller) -> Iterator[str]:
    """Yield the commands for an order, if its first source has it, and the others as comments."""
    engine, reference = puller.engine, order.reference
    if reference is None or not order.sources:
        yield f"# {printable(order.image)} cannot be pulled: {order.reason}"
        return
    first, *others = order.sources
    image = first.image
    yield f"# {order.image}: {order.reason}"
    yield shlex.join(engine.pull(image, puller.platform))
    if first.is_mirror:
        names = names_to_give(engine, reference, [image])
        yield from (shlex.join(engine.tag(image, name)) for name in names)
        if names and not puller.keeps_mirror_names:
            yield shlex.join(engine.remove(image))
    yield from (f"# or from {other.image}" for other in others)


@contextmanager
def ending_on_request() -> Iterator[None]:
    """Let SIGTERM unwind the block as Ctrl-C does, so that no engine is left running."""

    def end(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


TURNS: Final = "-\\|/"

FRAMES_A_SECOND: Final = 8


@contextmanager
def working(title: str) -> Iterator[Callable[[str, str], None]]:
    """Show, on a terminal, what is being done until the end of the block.

    Args:
        title: Which image of how many.

    Yields:
        What to tell the name that is being pulled, and the engine's last words.
    """
    if not sys.stdout.isatty():
        yield lambda _source, _line: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where something is shown
    from rich.live import Live  # noqa: PLC0415 - as above

    began = time.monotonic()
    words = ["", ""]

    def heard(source: str, said: str) -> None:
        words[:] = source, said

    with Live(
        console=Console(highlight=False, markup=False, emoji=False),
        get_renderable=lambda: doing(title, time.monotonic() - began, *words),
        refresh_per_second=FRAMES_A_SECOND,
        transient=True,
    ):
        yield heard


def doing(title: str, seconds: float, source: str, said: str) -> RenderableType:
    """Return two lines, to be cut to the width of the terminal."""
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    turn = TURNS[int(seconds * FRAMES_A_SECOND) % len(TURNS)]
    minutes, rest = divmod(int(seconds), 60)
    clock = f"{turn} {minutes}:{rest:02}  {printable(title)}"
    words = f"  {source}  {printable(said)}"
    return Group(
        Text(clock, no_wrap=True, overflow="crop"),
        Text(words, "dim", no_wrap=True, overflow="crop"),
    )


def show_result(result: Result) -> None:
    """Write the line of an image, and on standard error what else is to be known of it."""
    image = printable(result.order.image)
    if result.is_pulled:
        show_records([("pulled", "green", f"{image} from {result.source}")], indent="")
        for failure in result.failures:
            error = printable(failure.error)
            click.echo(f"Note: {image}: {failure.source} failed: {error}", err=True)
    else:
        error = result.failures[-1].error
        show_records([("failed", "red", f"{image}: {printable(error)}")], indent="")
    for note in result.notes:
        click.echo(f"Note: {image}: {printable(note)}", err=True)


def show_summary(results: Sequence[Result], engine: str) -> None:
    """Write to standard error which images were not pulled, and each reason.

    Args:
        results: All of them.
        engine: The engine's name.
    """
    failed = [result for result in results if not result.is_pulled]
    if not failed:
        return
    lines = [f"Error: {len(failed)} of {len(results)} images not pulled by {engine}:"]
    for result in failed:
        lines.append(f"  {printable(result.order.image)}")
        lines += [f"    {printable(str(failure))}" for failure in result.failures]
    click.echo("\n".join(lines), err=True)


def as_object(result: Result) -> dict[str, Any]:
    """Return a result with the keys that ``--output json`` promises."""
    return {
        "image": printable(result.order.image),
        "status": "pulled" if result.is_pulled else "failed",
        "source": result.source,
        "names": list(result.names),
        "reason": result.order.reason,
        "failures": [
            {"source": failure.source or None, "error": failure.error}
            for failure in result.failures
        ],
        "notes": list(result.notes),
    }

"""`mirrorhook rewrite`: the images of manifests, in files or on their way to the cluster."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from webhook.cli.rewriting.sources import STDIN, Source, sources
from webhook.cli.rewriting.telling import as_object, complain, show_diff
from webhook.cli.rewriting.writing import Stream, write_in_place
from webhook.cli.rules import load_policy, rules_options
from webhook.cli.table import show_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from webhook.core import Decision
    from webhook.manifests import ImagePath, Problem, Rewritten

    Destination: TypeAlias = Callable[[Source, Iterable[Rewritten]], Iterable[Rewritten]]

__all__ = ["rewrite"]

FAILED: Final = 1
OUTPUTS: Final = ("manifests", "json")
MANY: Final = 50_000


@click.command()
@click.argument(
    "files",
    metavar="[FILE...]",
    nargs=-1,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
)
@rules_options
@click.option("--in-place", "-i", is_flag=True, help="Write the files that change.")
@click.option("--diff", is_flag=True, help="Show what would change, and write nothing.")
@click.option(
    "--image-path",
    "image_paths",
    multiple=True,
    metavar="KIND[.GROUP]=PATH",
    help="Where a custom kind has an image, a Pod's template or a Pod's spec; may be repeated.",
)
@click.option(
    "--output",
    "-o",
    type=click.Choice(OUTPUTS),
    default=OUTPUTS[0],
    show_default=True,
    help="The manifests, or what became of each image, for programs.",
)
@click.pass_context
def rewrite(
    context: click.Context,
    files: tuple[Path, ...],
    config: Path | None,
    profile: tuple[str, ...],
    policy: str,
    in_place: bool,
    diff: bool,
    image_paths: tuple[str, ...],
    output: str,
) -> None:
    """Rewrite the images of manifests, and keep every other byte.

    Takes each FILE, the .yaml, .yml and .json files of each folder, or standard input;
    writes to standard output. It works as a Helm post-renderer.

    The exit code is 1 if an image is none, or a document cannot be read; all else is
    rewritten even so.

    \b
    mirrorhook rewrite --config rules.yaml deploy.yaml | kubectl apply -f -
    mirrorhook rewrite --config rules.yaml --in-place manifests/
    mirrorhook rewrite -p daocloud --image-path Rollout.argoproj.io=spec.template x.yaml
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    if in_place and diff:
        raise click.UsageError("give either --in-place or --diff")
    if in_place and (not files or Path(STDIN) in files):
        raise click.UsageError("--in-place needs files, and standard input is none")
    if not files and sys.stdin.isatty():
        raise click.UsageError("give files, folders, or manifests on standard input")
    paths = [image_path(text) for text in image_paths]
    from webhook.admission import remembered  # noqa: PLC0415 - as the rules below

    decide = remembered(load_policy(config, profile, policy).mirrors.decide)
    hand_on = destination(in_place, diff, output)
    entries: list[dict[str, Any]] = []
    failed = False
    with few_collections():
        # All is read once before anything is written: what cannot be read stops it all.
        for source, problem in [*checked(files)]:
            for part in hand_on(source, rewritten(source, problem, decide, paths)):
                failed |= complain(source, part)
                if output == "json":
                    entries += [as_object(source, image) for image in part.images]
    if output == "json":
        show_json(entries)
    sys.stdout.buffer.flush()
    if failed:
        context.exit(FAILED)


def destination(in_place: bool, diff: bool, output: str) -> Destination:
    """Return what takes the parts of each file, and hands them on."""
    if in_place:
        return write_in_place
    if output == "json":
        return lambda _, parts: parts
    return show_diff if diff else Stream(sys.stdout.buffer).take


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for garbage in cycles less often: manifests leave none, and many objects."""
    before = gc.get_threshold()
    gc.set_threshold(MANY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def checked(files: tuple[Path, ...]) -> Iterator[tuple[Source, Problem | None]]:
    """Yield the manifests, each with what keeps it from being read as text."""
    from webhook.manifests import unreadable  # noqa: PLC0415 - YAML is not for all commands

    for source in sources(files):
        yield source, unreadable(source.blocks())


def rewritten(
    source: Source,
    problem: Problem | None,
    decide: Callable[[str], Decision],
    paths: Iterable[ImagePath],
) -> Iterator[Rewritten]:
    """Yield what becomes of the parts of a file."""
    from webhook.manifests import Rewritten, rewritten_parts  # noqa: PLC0415 - as above

    if problem is None:
        yield from rewritten_parts(source.blocks(), decide, paths)
        return
    yield Rewritten(b"", problems=(problem,))
    yield from map(Rewritten, source.blocks())


def image_path(text: str) -> ImagePath:
    """Read the value of ``--image-path``."""
    from webhook.manifests import (  # noqa: PLC0415 - YAML is not for all commands
        ImagePath,
        InvalidImagePathError,
    )

    try:
        return ImagePath.parse(text)
    except InvalidImagePathError as error:
        raise click.BadParameter(str(error), param_hint="--image-path") from None

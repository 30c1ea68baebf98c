"""`mirrorhook rewrite`: the images of manifests, in files or on their way to the cluster."""

from __future__ import annotations

import gc
import sys
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias

import click

from webhook.cli.files import STDIN, Source, sources
from webhook.cli.options import load_policy, rules_options
from webhook.cli.output import show_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from webhook.core import Decision
    from webhook.manifests import ImagePath, ManifestProblem, RewriteResult

    Destination: TypeAlias = Callable[[Source, Iterable[RewriteResult]], Iterable[RewriteResult]]
    from collections.abc import Iterable

    from webhook.cli.files import Source
    from webhook.manifests import ManifestImage, RewriteResult

__all__ = ["Stream", "as_object", "complain", "rewrite", "show_diff", "write_in_place"]

FAILED: Final = 1

OUTPUTS: Final = ("manifests", "json")

MANY: Final = 50_000
MAX_IMAGES: Final = 1024


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
    decide = lru_cache(MAX_IMAGES)(load_policy(config, profile, policy).mirrors.decide)
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


def checked(files: tuple[Path, ...]) -> Iterator[tuple[Source, ManifestProblem | None]]:
    """Yield the manifests, each with what keeps it from being read as text."""
    from webhook.manifests import find_encoding_problem  # noqa: PLC0415 - YAML is not for all commands

    for source in sources(files):
        yield source, find_encoding_problem(source.blocks())


def rewritten(
    source: Source,
    problem: ManifestProblem | None,
    decide: Callable[[str], Decision],
    paths: Iterable[ImagePath],
) -> Iterator[RewriteResult]:
    """Yield what becomes of the parts of a file."""
    from webhook.manifests import RewriteResult, rewrite_stream  # noqa: PLC0415 - as above

    if problem is None:
        yield from rewrite_stream(source.blocks(), decide, paths)
        return
    yield RewriteResult(b"", problems=(problem,))
    yield from map(RewriteResult, source.blocks())


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


def complain(source: Source, part: RewriteResult) -> bool:
    """Tell what was left alone on doubt; say whether the work failed."""
    failed = False
    for problem in part.problems:
        click.echo(f"Error: {source.name}:{problem.line}: {problem.text}", err=True)
        failed = True
    for image in part.images:
        where = f"{source.name}:{image.line}"
        decision = image.decision
        if image.shared:
            text = f"{decision.original} is left as it is: {left_alone(image)}"
            click.echo(f"Warning: {where}: {text}", err=True)
        elif decision.outcome.needs_warning:
            text = f"image {decision.original!r} is left as it is: {decision.reason}"
            click.echo(f"Error: {where}: {text}", err=True)
            failed = True
    return failed


def as_object(source: Source, image: ManifestImage) -> dict[str, Any]:
    """Return an image of a file with the keys that ``--output json`` promises."""
    decision = image.decision
    return {
        "file": str(source.path) if source.path else None,
        "line": image.line,
        "name": image.name,
        "image": decision.original,
        "outcome": str(decision.outcome),
        "result": decision.image if image.changes else decision.original,
        "reason": left_alone(image) or decision.reason,
    }


def left_alone(image: ManifestImage) -> str:
    """Say why an image is left alone although a rule applies; empty if it is not."""
    if not image.shared:
        return ""
    return (
        f"its text has an anchor and stands for something else too; to have "
        f"{image.decision.image}, write it out where it is an image"
    )


def show_diff(source: Source, parts: Iterable[RewriteResult]) -> Iterator[RewriteResult]:
    """Show what changes in a file, as a unified diff, and hand its parts on."""
    from webhook.cli.output import unified  # noqa: PLC0415 - for this option only

    held = [*parts]
    before, after = (
        content.decode("utf-8", "backslashreplace")
        for content in (source.content, b"".join(part.content for part in held))
    )
    for text, style in unified(before, after, source.name):
        click.secho(text, fg=style, nl=not text.endswith("\n"))
    yield from held


class Stream:
    """Several files as one stream of documents.

    Args:
        output: Where it goes.
    """

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self._last = b""

    def take(self, source: Source, parts: Iterable[RewriteResult]) -> Iterator[RewriteResult]:
        """Write what becomes of a file, and hand its parts on."""
        self._begin(source)
        for part in parts:
            self._write(part.content)
            yield part

    def _begin(self, source: Source) -> None:
        """Part the file that follows from those before it."""
        if self._last and self._last != b"\n":
            self._write(b"\n")
        if self._last and not next(source.blocks(), b"").startswith((b"---", b"%")):
            self._write(b"---\n")

    def _write(self, content: bytes) -> None:
        """Write the next part."""
        self._output.write(content)
        self._last = content[-1:] or self._last


def write_in_place(source: Source, parts: Iterable[RewriteResult]) -> Iterator[RewriteResult]:
    """Write a file if it changes, as a whole or not at all, and tell it.

    Args:
        source: The file.
        parts: What becomes of it; they are handed on.
    """
    from webhook.cli.files import replacing  # noqa: PLC0415 - for this option only

    assert source.path is not None  # noqa: S101 - standard input is refused before
    count = unchanged = 0
    file: IO[bytes] | None = None
    try:
        with ExitStack() as stack:
            for part in parts:
                changes = sum(image.changes for image in part.images)
                if changes and file is None:
                    file = stack.enter_context(replacing(source.path))
                    copy_beginning(source, unchanged, file)
                if file is not None:
                    file.write(part.content)
                unchanged += len(part.content)
                count += changes
                yield part
    except OSError as error:
        raise click.FileError(source.name, error.strerror) from None
    if count:
        noun = "image" if count == 1 else "images"
        click.echo(f"{source.name}: {count} {noun} rewritten", err=True)


def copy_beginning(source: Source, size: int, file: IO[bytes]) -> None:
    """Copy so many bytes of a file."""
    for block in source.blocks():
        file.write(block[:size])
        size -= len(block)
        if size <= 0:
            return

"""`mirrorhook rewrite`: the images of manifests, in files or on their way to the cluster."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import ExitStack
from difflib import unified_diff
from functools import lru_cache
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, Final

import click

from webhook.cli.files import STDIN, find_manifests, replace_file
from webhook.cli.options import (
    EXIT_FAILED,
    choose_output,
    files_argument,
    load_policy,
    rules_options,
)
from webhook.cli.output import show_json
from webhook.manifests import (
    ImagePath,
    InvalidImagePathError,
    RewriteResult,
    rewrite_stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from webhook.cli.files import ManifestSource
    from webhook.manifests import ManifestImage

__all__ = ["rewrite"]

REMEMBERED_IMAGES: Final = 10_000
DIFF_STYLES: Final = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@files_argument
@rules_options
@click.option("--in-place", "-i", is_flag=True, help="Write changes back to the files.")
@click.option("--diff", is_flag=True, help="Show what would change, without writing it.")
@click.option(
    "--image-path",
    "image_paths",
    multiple=True,
    metavar="KIND[.GROUP]=PATH",
    help="Where a custom kind has an image, a Pod template or a Pod spec; may be repeated.",
)
@choose_output(
    ("manifests", "json"), "The manifests, or a list of the images with their decisions."
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
    """Rewrite the images in manifests, and keep every other byte.

    Reads each FILE, the .yaml, .yml and .json files in each folder, or standard input, and
    writes to standard output. It also works as a Helm post-renderer.

    The exit code is 1 if an image name is invalid or a document cannot be read; everything
    else is still rewritten.

    \b
    Examples:
      mirrorhook rewrite --config rules.yaml deploy.yaml | kubectl apply -f -
      mirrorhook rewrite --config rules.yaml --in-place manifests/
      mirrorhook rewrite -p daocloud --image-path Tool.example.com=spec.template x.yaml
    """  # noqa: D301 - to click, "\b" keeps the lines below it as they are
    _check_usage(files, in_place, diff)
    paths = [_parse_image_path(text) for text in image_paths]
    decide = lru_cache(REMEMBERED_IMAGES)(load_policy(config, profile, policy).mirrors.decide)
    write = _choose_writer(in_place, diff, output)
    entries: list[dict[str, Any]] = []
    is_failed = False
    matched: set[ImagePath] = set()
    sources = [*find_manifests(files, to_write=in_place)]
    # Everything is read before anything is written: a file that cannot be read stops it all.
    deque(chain.from_iterable(source.blocks() for source in sources), maxlen=0)
    for source in sources:
        for part in write(source, rewrite_stream(source.blocks(), decide, paths)):
            is_failed |= _report_problems(source, part)
            matched |= part.matched
            if output == "json":
                entries += [_describe_image(source, image) for image in part.images]
    if output == "json":
        show_json(entries)
    for path in set(paths) - matched:
        click.echo(f"Warning: --image-path {path} matches nothing here", err=True)
    sys.stdout.buffer.flush()
    if is_failed:
        context.exit(EXIT_FAILED)


def _check_usage(files: tuple[Path, ...], in_place: bool, diff: bool) -> None:
    if in_place and diff:
        raise click.UsageError("give either --in-place or --diff, not both")
    if in_place and (not files or STDIN in files):
        raise click.UsageError("--in-place needs files, not standard input")
    if not files and sys.stdin.isatty():
        raise click.UsageError("give files, folders, or manifests on standard input")


def _parse_image_path(text: str) -> ImagePath:
    try:
        return ImagePath.parse(text)
    except InvalidImagePathError as error:
        raise click.BadParameter(str(error), param_hint="--image-path") from None


def _report_problems(source: ManifestSource, part: RewriteResult) -> bool:
    """Write to standard error what was not rewritten; return whether that is a failure."""
    is_failed = False
    messages: dict[str, None] = {}  # each once, however often an anchor is used
    for problem in part.problems:
        messages[f"Error: {source.name}:{problem.line}: {problem.text}"] = None
        is_failed = True
    for image in part.images:
        where = f"{source.name}:{image.line}"
        decision = image.decision
        if image.shared:
            reason = _anchor_reason(image)
            messages[f"Warning: {where}: {decision.original} is unchanged: {reason}"] = None
        elif decision.outcome.needs_warning:
            text = f"image {decision.original!r} is unchanged: {decision.reason}"
            messages[f"Error: {where}: {text}"] = None
            is_failed = True
    for message in messages:
        click.echo(message, err=True)
    return is_failed


def _anchor_reason(image: ManifestImage) -> str:
    return (
        f"its YAML anchor is also used for something else; to get {image.decision.image}, "
        "write the image out without the anchor"
    )


def _describe_image(source: ManifestSource, image: ManifestImage) -> dict[str, Any]:
    """Return an image of a file with the keys that ``--output json`` promises."""
    decision = image.decision
    return {
        "file": str(source.path) if source.path else None,
        "line": image.line,
        "kind": image.parent.kind,
        "namespace": image.parent.namespace or None,
        "object": image.parent.name or None,
        "name": image.name,
        "image": decision.original,
        "outcome": str(decision.outcome),
        "result": decision.image if image.changes else decision.original,
        "reason": _anchor_reason(image) if image.shared else decision.reason,
    }


def _choose_writer(
    in_place: bool, diff: bool, output: str
) -> Callable[[ManifestSource, Iterable[RewriteResult]], Iterable[RewriteResult]]:
    """Return the function that writes the parts of each source, and yields them again."""
    if in_place:
        return _write_in_place
    if output == "json":
        return lambda _, parts: parts
    return _show_diff if diff else _StreamWriter(sys.stdout.buffer).write


class _StreamWriter:
    """Writes several sources as one stream of documents."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self._last_byte = b""

    def write(
        self, source: ManifestSource, parts: Iterable[RewriteResult]
    ) -> Iterator[RewriteResult]:
        if self._last_byte and self._last_byte != b"\n":
            self._write(b"\n")
        if self._last_byte and not next(source.blocks(), b"").startswith((b"---", b"%")):
            self._write(b"---\n")
        for part in parts:
            self._write(part.content)
            yield part

    def _write(self, content: bytes) -> None:
        self._output.write(content)
        self._last_byte = content[-1:] or self._last_byte


def _show_diff(source: ManifestSource, parts: Iterable[RewriteResult]) -> Iterator[RewriteResult]:
    """Show a unified diff of what changes in a source."""
    held = [*parts]
    before, after = (
        content.decode("utf-8", "backslashreplace").split("\n")
        for content in (source.content, b"".join(part.content for part in held))
    )
    name = source.name.lstrip("/")
    for line in unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm=""):
        style = DIFF_STYLES.get(line[:1])
        click.secho(line, fg=style, reset=style is not None)
    yield from held


def _write_in_place(
    source: ManifestSource, parts: Iterable[RewriteResult]
) -> Iterator[RewriteResult]:
    """Write a file if it changes, as a whole or not at all, and report it."""
    assert source.path is not None  # noqa: S101 - standard input is refused before
    changes = unchanged_size = 0
    file: IO[bytes] | None = None
    try:
        with ExitStack() as stack:
            for part in parts:
                changes += sum(image.changes for image in part.images)
                if changes and file is None:
                    file = stack.enter_context(replace_file(source.path))
                    _copy_beginning(source, unchanged_size, file)
                if file is not None:
                    file.write(part.content)
                unchanged_size += len(part.content)
                yield part
    except OSError as error:
        raise click.FileError(source.name, error.strerror) from None
    if changes:
        noun = "image" if changes == 1 else "images"
        click.echo(f"{source.name}: {changes} {noun} rewritten", err=True)


def _copy_beginning(source: ManifestSource, size: int, file: IO[bytes]) -> None:
    """Copy the first *size* bytes of a source."""
    for block in source.blocks():
        file.write(block[:size])
        size -= len(block)
        if size <= 0:
            return

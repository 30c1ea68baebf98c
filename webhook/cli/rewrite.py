"""
`mirrorhook rewrite`: the images of manifests, in files or on their way to the cluster.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.rules import load_policy, rules_options
from webhook.cli.table import show_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.documents import Image, ImagePath, Rewritten

__all__ = ["rewrite"]

FAILED: Final = 1
STDIN: Final = "-"
SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
OUTPUTS: Final = ("manifests", "json")


@dataclass(frozen=True, slots=True)
class Source:
    """
    Manifests from one place.

    Attributes:
        name: What messages call it.
        path: The file; None for standard input.
        content: Its bytes.
    """

    name: str
    path: Path | None
    content: bytes


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
    help="Where a custom kind has an image, a Pod's template or a Pod's spec; "
    "may be repeated.",
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
    """
    Rewrite the images of manifests, and keep every other byte.

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
    decide = load_policy(config, profile, policy).mirrors.decide
    from webhook.documents import rewrite_manifests  # noqa: PLC0415 - as the rules above

    results = [
        (source, rewrite_manifests(source.content, decide, paths))
        for source in sources(files)
    ]
    if in_place:
        write(results)
    if output == "json":
        show_json([entry for result in results for entry in as_objects(*result)])
    elif diff:
        show_diff(results)
    elif not in_place:
        sys.stdout.buffer.write(joined([rewritten.content for _, rewritten in results]))
        sys.stdout.buffer.flush()
    if complaints(results):
        context.exit(FAILED)


def image_path(text: str) -> ImagePath:
    """
    Read the value of ``--image-path``.
    """
    from webhook.documents import (  # noqa: PLC0415 - YAML is not for all commands
        ImagePath,
        InvalidImagePathError,
    )

    try:
        return ImagePath.parse(text)
    except InvalidImagePathError as error:
        raise click.BadParameter(str(error), param_hint="--image-path") from None


def sources(files: tuple[Path, ...]) -> Iterator[Source]:
    """
    Yield the manifests, a folder's files in the order of their names.
    """
    for path in files or (Path(STDIN),):
        if path == Path(STDIN):
            yield Source("standard input", None, sys.stdin.buffer.read())
            continue
        found = sorted(manifests_in(path)) if path.is_dir() else [path]
        if not found:
            told = ", ".join(sorted(SUFFIXES))
            click.echo(f"Warning: {path} has no {told} file", err=True)
        for file in found:
            try:
                yield Source(str(file), file, file.read_bytes())
            except OSError as error:
                raise click.FileError(str(file), error.strerror) from None


def manifests_in(folder: Path) -> Iterator[Path]:
    """
    Yield the manifests below *folder*, save those that are hidden.
    """
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.suffix in SUFFIXES and not hidden and path.is_file():
            yield path


def write(results: list[tuple[Source, Rewritten]]) -> None:
    """
    Write each file that changes, as a whole or not at all, and tell it.
    """
    from webhook.cli.files import replace  # noqa: PLC0415 - for this option only

    for source, rewritten in results:
        if source.path is not None and rewritten.content != source.content:
            try:
                replace(source.path, rewritten.content)
            except OSError as error:
                raise click.FileError(source.name, error.strerror) from None
            count = sum(image.changes for image in rewritten.images)
            click.echo(f"{source.name}: {counted(count, 'image')} rewritten", err=True)


def counted(count: int, what: str) -> str:
    """
    Return a number with its noun.
    """
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def joined(contents: list[bytes]) -> bytes:
    """
    Return several files as one stream of documents.
    """
    stream = b""
    for content in contents:
        if stream and not stream.endswith(b"\n"):
            stream += b"\n"
        if stream and not content.startswith((b"---", b"%")):
            stream += b"---\n"
        stream += content
    return stream


def show_diff(results: list[tuple[Source, Rewritten]]) -> None:
    """
    Show what changes, as a unified diff.
    """
    from webhook.cli.diff import unified  # noqa: PLC0415 - for this option only

    for source, rewritten in results:
        before, after = (
            content.decode("utf-8", "backslashreplace")
            for content in (source.content, rewritten.content)
        )
        for text, style in unified(before, after, source.name):
            click.secho(text, fg=style, nl=not text.endswith("\n"))


def as_objects(source: Source, rewritten: Rewritten) -> Iterator[dict[str, Any]]:
    """
    Yield each image of a file with the keys that ``--output json`` promises.
    """
    for image in rewritten.images:
        decision = image.decision
        yield {
            "file": str(source.path) if source.path else None,
            "line": image.line,
            "name": image.name,
            "image": decision.original,
            "outcome": str(decision.outcome),
            "result": decision.image if image.changes else decision.original,
            "reason": left_alone(image) or decision.reason,
        }


def left_alone(image: Image) -> str:
    """
    Say why an image is left alone although a rule applies; empty if it is not.
    """
    if not image.shared:
        return ""
    return (
        f"its text has an anchor and stands for something else too; to have "
        f"{image.decision.image}, write it out where it is an image"
    )


def complaints(results: list[tuple[Source, Rewritten]]) -> bool:
    """
    Tell what was left alone on doubt; say whether the work failed.
    """
    failed = False
    for source, rewritten in results:
        for problem in rewritten.problems:
            click.echo(f"Error: {source.name}:{problem.line}: {problem.text}", err=True)
            failed = True
        for image in rewritten.images:
            where = f"{source.name}:{image.line}"
            decision = image.decision
            if image.shared:
                text = f"{decision.original} is left as it is: {left_alone(image)}"
                click.echo(f"Warning: {where}: {text}", err=True)
            elif decision.outcome.is_doubtful:
                text = f"image {decision.original!r} is left as it is: {decision.reason}"
                click.echo(f"Error: {where}: {text}", err=True)
                failed = True
    return failed

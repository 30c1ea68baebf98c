"""What is told of a rewritten file: to people, and to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webhook.cli.rewriting.sources import Source
    from webhook.manifests import Image, Rewritten

__all__ = ["as_object", "complain", "show_diff"]


def complain(source: Source, part: Rewritten) -> bool:
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
        elif decision.outcome.is_doubtful:
            text = f"image {decision.original!r} is left as it is: {decision.reason}"
            click.echo(f"Error: {where}: {text}", err=True)
            failed = True
    return failed


def as_object(source: Source, image: Image) -> dict[str, Any]:
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


def left_alone(image: Image) -> str:
    """Say why an image is left alone although a rule applies; empty if it is not."""
    if not image.shared:
        return ""
    return (
        f"its text has an anchor and stands for something else too; to have "
        f"{image.decision.image}, write it out where it is an image"
    )


def show_diff(source: Source, parts: Iterable[Rewritten]) -> Iterator[Rewritten]:
    """Show what changes in a file, as a unified diff, and hand its parts on."""
    from webhook.cli.diff import unified  # noqa: PLC0415 - for this option only

    held = [*parts]
    before, after = (
        content.decode("utf-8", "backslashreplace")
        for content in (source.content, b"".join(part.content for part in held))
    )
    for text, style in unified(before, after, source.name):
        click.secho(text, fg=style, nl=not text.endswith("\n"))
    yield from held

"""What `mirrorhook copy` tells: of each image, in the end, and of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.output import escape_controls, show_records, show_table
from webhook.transfer import Arrival, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhook.transfer import Result

__all__ = ["as_object", "show_plan", "show_result", "show_summary"]

STYLES: Final = {
    Status.COPIED: "green",
    Status.PRESENT: "",
    Status.SKIPPED: "yellow",
    Status.FAILED: "red",
}
WORD: Final = max(map(len, Status))
COLUMNS: Final = ("IMAGE", "TO", "PLATFORMS", "SIZE", "TO SEND")
PLANNED: Final = "planned"


def show_result(result: Result) -> None:
    """Write the line of an image, and on standard error what else is to be known of it."""
    status = result.status
    text = f"{escape_controls(result.order.image)}{told(result)}"
    show_records([(f"{status:<{WORD}}", STYLES[status], text)])
    show_notes(result)


def show_notes(result: Result) -> None:
    """Write to standard error what is not as one might expect."""
    for note in result.copied.notes if result.copied else ():
        click.echo(f"Note: {escape_controls(result.order.image)}: {note}", err=True)


def told(result: Result) -> str:
    """Return what became of an image, as the end of a line."""
    order = result.order
    if result.status is Status.FAILED:
        return f": {problem(result)}"
    if result.status is Status.SKIPPED:
        return f": {order.reason}"
    sizes = [f"{in_words(result.sent)} sent"] if result.sent else []
    mounted = result.size(Arrival.MOUNTED)
    sizes += [f"{in_words(mounted)} mounted"] if mounted else []
    return f" to {order.target}" + (f" ({', '.join(sizes)})" if sizes else "")


def problem(result: Result) -> str:
    """Return why an image is not at its mirror."""
    return escape_controls(result.error or result.order.reason)


def show_summary(results: Sequence[Result]) -> None:
    """Write to standard error how many images were not copied; nothing if all were."""
    failed = [result for result in results if result.status is Status.FAILED]
    if failed:
        lines = [f"Error: {len(failed)} of {len(results)} images not copied:"]
        images = ((escape_controls(result.order.image), problem(result)) for result in failed)
        lines += [f"  {image}: {reason}" for image, reason in images]
        click.echo("\n".join(lines), err=True)


def show_plan(results: Sequence[Result]) -> None:
    """Write what would be copied, with sizes and their sums."""
    rows = [row(result) for result in results]
    size = sum(result.copied.size for result in results if result.copied)
    sent = sum(result.sent for result in results)
    rows.append(("", "", "", in_words(size), in_words(sent)))
    show_table(COLUMNS, rows)
    for result in results:
        show_notes(result)


def row(result: Result) -> tuple[str, ...]:
    """Return the cells of a table for an image."""
    image, copied = escape_controls(result.order.image), result.copied
    if copied is None:
        reason = problem(result)
        return image, f"{result.status}: {reason}", "", "", ""
    sent = "there already" if not copied.written else in_words(result.sent)
    platforms = ", ".join(copied.platforms)
    return image, str(result.order.target), platforms, in_words(copied.size), sent


def in_words(size: int) -> str:
    """Return a number of bytes for people."""
    from rich.filesize import decimal  # noqa: PLC0415 - only where something is shown

    return decimal(size)


def as_object(result: Result, *, is_plan: bool) -> dict[str, Any]:
    """Return a result with the keys that ``--output json`` promises."""
    order, copied = result.order, result.copied
    is_planned = is_plan and result.status is Status.COPIED
    return {
        "image": escape_controls(order.image),
        "status": PLANNED if is_planned else str(result.status),
        "upstream": str(order.upstream) if order.upstream and order.target else None,
        "target": str(order.target) if order.target else None,
        "digest": copied.digest if copied else None,
        "platforms": list(copied.platforms) if copied else [],
        "size": copied.size if copied else None,
        "sent": result.sent,
        "mounted": result.size(Arrival.MOUNTED),
        "referrers": copied.referrers if copied else 0,
        "reason": order.reason,
        "error": problem(result) if result.status is Status.FAILED else None,
        "notes": list(copied.notes) if copied else [],
    }

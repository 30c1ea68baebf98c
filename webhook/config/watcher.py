"""Reload a rules file when its content changes.

The files of a ConfigMap are symbolic links through ``..data``, which the kubelet replaces
(`AtomicWriter`_). A watch on the file itself would see one change and never another, so the
directory is watched. An event is only a reason to look: the content decides. A slow poll covers
file systems without events, and nodes without a free inotify instance.

.. _AtomicWriter: https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeAlias

from watchfiles import awatch

from webhook.config.errors import ConfigurationError
from webhook.config.loader import parse_rules, read_rules_file
from webhook.config.rules import compute_digest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
    from pathlib import Path

    from webhook.config.models import Configuration

    Notifier: TypeAlias = Callable[[Path, float], AsyncIterator[object]]

__all__ = ["watch_directory", "watch_rules"]

UNREADABLE: Final = "unreadable"
# Changes from before the watch began are missed, so the first look comes soon.
FIRST_LOOK: Final = 0.5


async def watch_directory(directory: Path, poll: float) -> AsyncGenerator[None, None]:
    """Yield after each change in *directory*, and at least every *poll* seconds.

    It also yields soon after the beginning, and never ends. Events in quick succession are one.
    The watch is renewed with every poll, as the directory may have been replaced.
    """
    wait = min(FIRST_LOOK, poll)
    while True:
        try:
            changes = awatch(
                directory,
                watch_filter=None,
                rust_timeout=max(1, round(wait * 1000)),
                yield_on_timeout=True,
                recursive=False,
            )
            async with aclosing(changes):
                async for happened in changes:
                    yield
                    if not happened:
                        break
        except (OSError, RuntimeError):  # no directory, or no more inotify watches
            await asyncio.sleep(wait)
            yield
        wait = poll


async def watch_rules(
    path: Path,
    digest: str,
    files: Iterable[Path] = (),
    *,
    poll: float = 10.0,
    notifier: Notifier = watch_directory,
) -> AsyncIterator[Configuration | ConfigurationError]:
    """Yield the new configuration, or its problems, each time the content of a rules file changes.

    A file that is missing, as between two steps of an editor, is looked for a second time before
    it is reported. The same bad content is reported once.

    Args:
        path: The rules file.
        digest: `Configuration.digest` of the rules in use.
        files: `Configuration.files` of the rules in use. Those in other directories are checked
            with every poll.
        poll: Seconds between two looks without an event.
        notifier: Yields when it is time to look, given the file's directory and *poll*; the
            watch ends with it.
    """
    seen = digest
    is_missing = False
    changes = notifier(path.parent, poll)
    while True:
        try:
            content = await asyncio.to_thread(read_rules_file, path)
        except ConfigurationError as error:
            if is_missing and seen != UNREADABLE:
                seen = UNREADABLE
                yield error
            is_missing = True
        else:
            is_missing = False
            current = await asyncio.to_thread(compute_digest, content, files)
            if current != seen:
                result = await asyncio.to_thread(_try_parse, content, str(path))
                files = result.files
                seen = await asyncio.to_thread(compute_digest, content, files)
                yield result
        try:
            await anext(changes)
        except StopAsyncIteration:
            return


def _try_parse(content: bytes, origin: str) -> Configuration | ConfigurationError:
    try:
        return parse_rules(content, origin)
    except ConfigurationError as error:
        return error

"""Taking up changes of a rules file while it is in use.

A ConfigMap's files are symbolic links by way of ``..data``, which the kubelet
replaces; a watch on the file itself would see that once, and never again
(`AtomicWriter`_). So the directory is watched, and whatever happens in it is only
a reason to look: what counts is the content. Where events do not come at all, as
on some network file systems or with no inotify instance left, a slow poll does it.

.. _AtomicWriter: https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeAlias

from webhook.config.files import fingerprint
from webhook.config.loading import parse, read_bytes
from webhook.config.problems import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
    from pathlib import Path

    from webhook.config.values import Configuration

    Notifier: TypeAlias = Callable[[Path, float], AsyncIterator[object]]

__all__ = ["directory_changes", "watch"]

UNREADABLE: Final = "unreadable"
# What happened before there was a watch is not heard: by then there is one.
SOON: Final = 0.5


async def directory_changes(directory: Path, poll: float) -> AsyncGenerator[None, None]:
    """Yield whenever something happened in *directory*, and every *poll* seconds.

    It yields soon after the beginning, too, and never ends. Events that come in a storm
    are taken together. The watch is renewed with every poll, as the directory may be
    another by then.
    """
    from watchfiles import awatch  # noqa: PLC0415 - only the server waits for changes

    wait = min(SOON, poll)
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


async def watch(
    path: Path,
    digest: str,
    files: Iterable[Path] = (),
    *,
    poll: float = 10.0,
    notifier: Notifier = directory_changes,
) -> AsyncIterator[Configuration | ConfigurationError]:
    """Yield the rules each time the content of their file changes, or what is wrong with it.

    A file that is missing at one look, as between two steps of an editor, is looked
    for once more before that is told. The same bad content is told of once.

    Args:
        path: The rules file.
        digest: `Configuration.digest` of the rules in use.
        files: `Configuration.files` of the rules in use. Those in other folders are
            looked at with every poll.
        poll: Seconds after which to look even if nothing was heard.
        notifier: Yields when it is time to look, given the file's directory and *poll*;
            the watch ends when it does.
    """
    seen = digest
    missing = False
    changes = notifier(path.parent, poll)
    while True:
        try:
            content = await asyncio.to_thread(read_bytes, path)
        except ConfigurationError as error:
            if missing and seen != UNREADABLE:
                seen = UNREADABLE
                yield error
            missing = True
        else:
            missing = False
            current = await asyncio.to_thread(fingerprint, content, files)
            if current != seen:
                outcome = await asyncio.to_thread(parsed, content, str(path))
                files = outcome.files
                seen = await asyncio.to_thread(fingerprint, content, files)
                yield outcome
        try:
            await anext(changes)
        except StopAsyncIteration:
            return


def parsed(content: bytes, origin: str) -> Configuration | ConfigurationError:
    """Return the rules in *content*, or what is wrong with it."""
    try:
        return parse(content, origin)
    except ConfigurationError as error:
        return error

"""Watching objects of the cluster, each kind in a thread of its own.

A `Watch` on one object is only a reason to look: its events are not read, and the caller reads
the object itself. So a watch that breaks, or starts late, costs time and nothing else, and it
has no state that could be wrong. A `Reflector` reads the events.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

from urllib3.exceptions import HTTPError

from webhook.kube.client import JSON
from webhook.kube.errors import ClusterError, UnavailableError, describe_network_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import urllib3

    from webhook.kube.client import KubeClient

__all__ = ["Watch", "WatchThread"]

# The API server ends the watch; if it does not, the connection is given up some time later.
WATCH_SECONDS: Final = 240
SILENCE_SECONDS: Final = 300.0
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0


class WatchThread(ABC):
    """A thread that watches objects; a context manager.

    Args:
        client: Sends the requests.
        action: What the thread does, as it follows "cannot" in messages.
        on_change: Called in the event loop of ``__enter__`` when something may have changed.

    Attributes:
        problem: Why nothing is watched at the moment; empty if something is.
    """

    def __init__(self, client: KubeClient, action: str, on_change: Callable[[], None]) -> None:
        self._client = client
        self._action = action
        self._on_change = on_change
        self._stopped = threading.Event()
        self._response: urllib3.BaseHTTPResponse | None = None
        self.problem = ""

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, name=self._action, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        response = self._response
        if response is not None:
            with suppress(ValueError, RuntimeError, OSError):
                response.shutdown()

    @abstractmethod
    def _run(self) -> None:
        """Watch until the thread is stopped."""

    @contextmanager
    def _open_watch(
        self, path: str, query: Mapping[str, str], accept: str, silence: float
    ) -> Iterator[Iterable[bytes]]:
        """Yield the pieces of a watch as they come; an event may be split.

        Args:
            path: Path of the objects.
            query: The options of the watch.
            accept: Media type of the events.
            silence: Seconds without a piece after which the connection is dead.

        Raises:
            ClusterError: The watch is refused, or breaks.
        """
        response = self._client.send(
            self._action,
            "GET",
            path,
            query={"watch": "true", **query},
            accept=accept,
            read_timeout=silence,
        )
        self._response = response
        try:
            yield () if self._stopped.is_set() else response.stream()
        except (HTTPError, OSError) as error:
            problem = f"cannot {self._action}: {describe_network_error(error)}"
            raise UnavailableError(problem) from None
        finally:
            self._response = None
            response.close()

    def _describe(self, error: Exception) -> str:
        """Return what went wrong: an answer of the API server may have any shape."""
        if isinstance(error, ClusterError):
            return str(error)
        return f"cannot {self._action}: unexpected answer: {error!r}"

    def _notify(self) -> None:
        with suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._on_change)


class Watch(WatchThread):
    """A watch on one object.

    Args:
        client: Sends the requests.
        action: What the watch does, as it follows "cannot" in messages.
        path: Path of the objects of its kind.
        name: Name of the object.
        on_change: Called in the event loop of ``__enter__`` when the object may have changed.
        pause: Seconds before the first retry after a failure; doubled for each further one.

    Attributes:
        problem: Why there is no watch at the moment; empty if there is one.
    """

    def __init__(
        self,
        client: KubeClient,
        action: str,
        path: str,
        name: str,
        on_change: Callable[[], None],
        *,
        pause: float = FIRST_PAUSE,
    ) -> None:
        super().__init__(client, action, on_change)
        self._path = path
        self._query = {
            "fieldSelector": f"metadata.name={name}",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        self._first_pause = self._pause = pause

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except Exception as error:  # noqa: BLE001 - the answers come from the network
                self.problem = self._describe(error)
            self._stopped.wait(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _follow(self) -> None:
        with self._open_watch(self._path, self._query, JSON, SILENCE_SECONDS) as pieces:
            self._pause = self._first_pause
            self.problem = ""
            # Changes from before the watch have no event.
            self._notify()
            # An event may come with others: each piece is a reason to look.
            for piece in pieces:
                if b'"type":"ERROR"' in piece:
                    raise ClusterError(f"cannot {self._action}: the API server ended the watch")
                self._notify()

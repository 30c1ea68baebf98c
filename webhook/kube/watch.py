"""Watching an object of the cluster.

A watch is only a reason to look: its events are not read, and the caller reads the object
itself. So a watch that breaks, or starts late, costs time and nothing else, and it has no
state that could be wrong.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from urllib3.exceptions import HTTPError

from webhook.kube.errors import ClusterError, UnavailableError, describe_network_error

if TYPE_CHECKING:
    from collections.abc import Callable

    import urllib3

    from webhook.kube.client import KubeClient

__all__ = ["Watch"]

# The API server ends the watch; if it does not, the connection is given up some time later.
WATCH_SECONDS: Final = 240
SILENCE_SECONDS: Final = 300.0
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0


class Watch:
    """A watch on one object, in a thread of its own; a context manager.

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
        self._client = client
        self._action = action
        self._path = path
        self._query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        self._on_change = on_change
        self._first_pause = self._pause = pause
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

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except ClusterError as error:
                self.problem = str(error)
            self._stopped.wait(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _follow(self) -> None:
        response = self._client.send(
            self._action, "GET", self._path, query=self._query, read_timeout=SILENCE_SECONDS
        )
        self._response = response
        self._pause = self._first_pause
        self.problem = ""
        # Changes from before the watch have no event.
        self._notify()
        try:
            # An event may be split, or come with others: each piece is a reason to look.
            for piece in () if self._stopped.is_set() else response.stream():
                if b'"type":"ERROR"' in piece:
                    raise ClusterError(f"cannot {self._action}: the API server ended the watch")
                self._notify()
        except (HTTPError, OSError) as error:
            raise UnavailableError(
                f"cannot {self._action}: {describe_network_error(error)}"
            ) from None
        finally:
            self._response = None
            response.close()

    def _notify(self) -> None:
        with suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._on_change)

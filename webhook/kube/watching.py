"""Being told when an object changes.

A watch here is no more than a reason to look: its events are not read, and who is
told reads the object itself. So a watch that breaks, or starts too late, loses
nothing but time, and there is no state of it to go wrong.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from urllib3.exceptions import HTTPError

from webhook.kube.connection import described
from webhook.kube.errors import ClusterError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    import urllib3

    from webhook.kube.connection import Connection

__all__ = ["Watch"]

# The API server ends the watch; the connection counts as dead some time later.
WATCH_SECONDS: Final = 240
SILENCE_SECONDS: Final = 300.0
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0


class Watch:
    """A watch on one object, in a thread of its own, from entering to leaving it.

    Args:
        connection: The way to the API server.
        action: What it does, as it follows "cannot".
        path: Path of the objects of its kind.
        name: The object's name.
        changed: Is called in the loop in which the watch was entered, when the object
            may have changed.
        pause: Seconds before the first new try after a failure; it doubles from there.

    Attributes:
        problem: Why there is no watch at the moment; empty if there is one.
    """

    def __init__(
        self,
        connection: Connection,
        action: str,
        path: str,
        name: str,
        changed: Callable[[], None],
        *,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self._connection = connection
        self._action = action
        self._path = path
        self._query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        self._changed = changed
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
        """Watch until the API server ends it.

        Raises:
            ClusterError: It may not be watched, or something in between broke.
        """
        response = self._connection.send(
            self._action, "GET", self._path, query=self._query, silence=SILENCE_SECONDS
        )
        self._response = response
        self._pause = self._first_pause
        self.problem = ""
        # What happened before the watch was there, nobody has told.
        self._tell()
        try:
            # An event may be split, or come with others: each piece is a reason to look.
            for piece in () if self._stopped.is_set() else response.stream():
                if b'"type":"ERROR"' in piece:
                    raise ClusterError(f"cannot {self._action}: the API server ended it")
                self._tell()
        except (HTTPError, OSError) as error:
            problem = f"cannot {self._action}: {described(error)}"
            raise UnavailableError(problem) from None
        finally:
            self._response = None
            response.close()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._changed)

"""Keeping the objects of one kind as the API server has them, by list and watch.

As in the clients of Kubernetes (`Efficient detection of changes`_): all objects are listed page
by page, and watched from the version of that list. A watch that ends is resumed from the version
of its last event or bookmark. If the API server no longer has that version, the objects are
listed again. Until a list succeeds, those that were last known stay.

.. _Efficient detection of changes:
   https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from webhook.kube.client import JSON
from webhook.kube.errors import (
    ExpiredError,
    NotFoundError,
    UnavailableError,
    create_error,
)
from webhook.kube.watch import WatchThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from webhook.kube.client import KubeClient

__all__ = ["ObjectKey", "Reflector", "ReflectorPace"]

T = TypeVar("T")

# A spec takes up to 0.5 MB, and a page is held in memory as a whole.
PAGE_SIZE: Final = 100
METADATA: Final = "application/json;as={kind};g=meta.k8s.io;v=v1"
# Bookmarks come about once a minute, so a connection that is silent for longer is dead.
SILENCE_SECONDS: Final = 150.0
WATCH_SECONDS: Final = (240, 480)

_random: Final = Random()  # noqa: S311 - it makes no secrets


class ObjectKey(NamedTuple):
    """The namespace of an object, empty if it has none, and its name."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class ReflectorPace:
    """Seconds before a reflector tries again; a random part of up to half is taken off.

    Attributes:
        first: After a watch ended, or the first failure; doubled for each further one.
        longest: After many of them.
    """

    first: float = 1.0
    longest: float = 30.0

    def get_pause(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row."""
        # The replicas must not all come back at once.
        most = min(self.first * 2.0 ** min(failures, 30), self.longest)
        return most * _random.uniform(0.5, 1)


class Reflector(WatchThread, Generic[T]):
    """Keeps the objects of one kind, in a thread of its own; a context manager.

    Args:
        client: Sends the requests.
        path: Path of all objects of the kind.
        convert: Returns what to keep of an object, from its JSON and from what is kept of it.
        on_change: Called in the event loop of ``__enter__`` when something may have changed.
        metadata_only: Whether to ask for the metadata of the objects only.
        pace: How soon to try again.

    Attributes:
        path: As above.
        synced: Whether the objects were listed, or the API server said that there is no such
            kind.
        problem: Why the objects may be out of date; empty if they are not.
        received: How many objects have come, in lists and events.
    """

    def __init__(
        self,
        client: KubeClient,
        path: str,
        convert: Callable[[Mapping[str, Any], T | None], T],
        on_change: Callable[[], None],
        *,
        metadata_only: bool = False,
        pace: ReflectorPace | None = None,
    ) -> None:
        super().__init__(client, f"watch {path}", on_change)
        self.path = path
        self._convert = convert
        self._metadata_only = metadata_only
        self._pace = pace or ReflectorPace()
        self._lock = threading.Lock()
        self._objects: dict[ObjectKey, T] = {}
        self._version = ""  # to watch from; empty before a list
        self._failures = 0
        self.synced = False
        self.received = 0

    def get_objects(self) -> dict[ObjectKey, T]:
        """Return the objects as they are known now."""
        with self._lock:
            return self._objects.copy()

    def _run(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            problem = ""
            try:
                if not self._version:
                    self._list()
                self._follow()
            except NotFoundError as error:
                self._version = ""
                self.problem = problem = str(error)
                self._replace({})
            except Exception as error:  # noqa: BLE001 - the answers come from the network
                problem = self._describe(error)
                if not _is_worth_resuming(error):
                    self._version = ""
            if problem != self.problem:
                self.problem = problem
                self._notify()
            # A watch that ends at once each time counts as a failure, too.
            if time.monotonic() - began > self._pace.longest:
                self._failures = 0
            self._stopped.wait(self._pace.get_pause(self._failures))
            self._failures += 1

    def _list(self) -> None:
        """List all objects, page by page."""
        found: dict[ObjectKey, T] = {}
        query = {"limit": str(PAGE_SIZE)}
        accept = METADATA.format(kind="PartialObjectMetadataList")
        while True:
            page = self._client.call(
                f"list {self.path}",
                "GET",
                self.path,
                query=query,
                accept=accept if self._metadata_only else JSON,
            )
            for each in page.get("items") or ():
                key = _get_key(each)
                found[key] = self._convert(each, self._objects.get(key))
                self.received += 1
            token = page["metadata"].get("continue")
            if not token or self._stopped.is_set():
                break
            query["continue"] = token
        self._version = page["metadata"]["resourceVersion"]
        self._replace(found)

    def _follow(self) -> None:
        """Apply the events of one watch, until it ends."""
        query = {
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(_random.randint(*WATCH_SECONDS)),
        }
        accept = METADATA.format(kind="PartialObjectMetadata") if self._metadata_only else JSON
        with self._open_watch(self.path, query, accept, SILENCE_SECONDS) as pieces:
            if self.problem:
                self.problem = ""
                self._notify()
            for line in _read_lines(pieces):
                self._apply(json.loads(line))

    def _apply(self, event: Mapping[str, Any]) -> None:
        """Apply one event."""
        kind, content = event["type"], event["object"]
        if kind == "ERROR":
            raise create_error(self._action, content.get("code", 500), content.get("message", ""))
        if kind != "BOOKMARK":
            key = _get_key(content)
            kept = None if kind == "DELETED" else self._convert(content, self._objects.get(key))
            with self._lock:
                if kept is None:
                    self._objects.pop(key, None)
                else:
                    self._objects[key] = kept
            self.received += 1
            self._notify()
        self._version = content["metadata"]["resourceVersion"]
        self._failures = 0

    def _replace(self, objects: dict[ObjectKey, T]) -> None:
        with self._lock:
            self._objects = objects
        self.synced = True
        self._notify()


def _get_key(content: Mapping[str, Any]) -> ObjectKey:
    metadata = content["metadata"]
    return ObjectKey(metadata.get("namespace", ""), metadata["name"])


def _is_worth_resuming(error: Exception) -> bool:
    """Return whether a watch that failed may go on from where it was."""
    return isinstance(error, UnavailableError) and not isinstance(error, ExpiredError)


def _read_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield each line of a response as soon as it is complete."""
    parts: list[bytes] = []
    for piece in pieces:
        *lines, rest = piece.split(b"\n")
        for line in lines:
            parts.append(line)
            yield b"".join(parts)
            parts.clear()
        parts.append(rest)

"""Offers Pods to an API server at a steady rate, and counts what becomes of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread

import httpx

from tests.cluster.api import Api, namespaced
from tests.cluster.world import World, pod

__all__ = ["CLIENTS", "Load", "offered"]

CLIENTS = 4
PAUSE = 0.02
PATIENCE = 60.0
# The API server is not there, or asks to try again: controllers do.
AGAIN = {429, 502, 503, 504}


class Load:
    """Creates Pods in dry runs, from several clients, until it is stopped.

    A client whose API server does not answer tries the same Pod again, as controllers do. A Pod
    that is not answered after a minute has failed, and so has one that is refused.

    Args:
        world: The cluster.
        namespace: A namespace whose Pods should be rewritten.
        image: The image of the Pods.
    """

    def __init__(self, world: World, namespace: str, image: str) -> None:
        self.counts = Counter[str]()
        self.errors: list[str] = []
        self._image = image
        self._path = namespaced("pods", namespace)
        self._stopping = Event()
        self._lock = Lock()
        token = world.plane.tokens["admin"]
        clients = [world.plane.as_user(token) for _ in range(CLIENTS)]
        self._threads = [Thread(target=self._run, args=(client,)) for client in clients]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, client: Api) -> None:
        while not self._stopping.wait(PAUSE):
            found = self._create(client)
            with self._lock:
                self.counts.update(found)

    def _create(self, client: Api) -> list[str]:
        """Create a Pod, and return what to count."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                answer = client.ask("POST", self._path, pod(self._image), dryRun="All")
                problem = "" if answer.is_success else answer.text
                again = answer.status_code in AGAIN
            except httpx.TransportError as error:
                problem, again = repr(error), True
            if not problem:
                image = answer.json()["spec"]["containers"][0]["image"]
                rewritten = ["rewritten"] * (image != self._image)
                return ["offered", "admitted", *rewritten]
            if not again or time.monotonic() > end:
                self.errors.append(problem)
                return ["offered", "failed"]
            time.sleep(0.1)


@contextmanager
def offered(world: World, namespace: str, image: str) -> Iterator[Load]:
    """Offer Pods until the end of the block."""
    load = Load(world, namespace, image)
    load.start()
    try:
        yield load
    finally:
        load.stop()

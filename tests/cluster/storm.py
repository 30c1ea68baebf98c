"""Creates Pods continuously."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Thread

import httpx

from tests.cluster.api import namespaced
from tests.cluster.processes import until
from tests.cluster.world import World, images, pod

__all__ = ["Storm", "storm"]

LEAST = 20


class Storm:
    """Creates Pods in dry runs until it is stopped, and collects errors.

    Args:
        world: The cluster.
        namespace: A namespace whose Pods should be rewritten.
        expected: The expected image for ``nginx``.
    """

    def __init__(self, world: World, namespace: str, expected: str) -> None:
        self.created = 0
        self.wrong: list[str] = []
        self._api = world.plane.as_user(world.plane.tokens["admin"])
        self._path = namespaced("pods", namespace)
        self._expected = {"c0": expected}
        self._stopping = Event()
        self._thread = Thread(target=self._create)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _create(self) -> None:
        while not self._stopping.wait(0.01):
            try:
                answer = self._api.ask("POST", self._path, pod("nginx"), dryRun="All")
            except httpx.TransportError as error:
                self.wrong.append(repr(error))
                continue
            self.created += 1
            if answer.is_error or images(answer.json()) != self._expected:
                self.wrong.append(answer.text)


@contextmanager
def storm(world: World, namespace: str, expected: str):
    """Create Pods continuously until the end of the block, and fail on any error."""
    pods = Storm(world, namespace, expected)
    pods.start()
    try:
        yield pods
        until(lambda: pods.created >= LEAST, "Pods that are created")
    finally:
        pods.stop()
    assert pods.wrong == [], f"{len(pods.wrong)} of {pods.created}: {pods.wrong[:3]}"

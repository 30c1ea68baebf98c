"""Creates namespaces and Pods in great numbers, as fast as the API server takes them."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import ssl
import time
from collections import Counter
from collections.abc import Callable
from threading import Lock, Thread
from uuid import uuid4

import httpx

from tests.cluster.api import namespaced
from tests.cluster.control_plane import ControlPlane
from tests.cluster.world import ENABLED

__all__ = ["TARGET", "Crowd", "write_rules"]

CLIENTS = 8
MOST_WRITES = 100
TARGET = "mirror.example"
AGAIN = {429, 500, 502, 503, 504}
CREATED = (http.client.CREATED, http.client.CONFLICT)


def write_rules(count: int) -> list[dict[str, object]]:
    """Return rules, one for each of many teams on Docker Hub."""
    return [
        {"match": f"docker.io/team-{number:05}", "mirrors": [f"{TARGET}/team-{number:05}"]}
        for number in range(count)
    ]


class Crowd:
    """Many clients of an API server.

    Args:
        plane: The cluster.
        report: Is called with the progress.

    Attributes:
        counts: Pods that were created, and those of them that were rewritten.
        seconds: How long each creation of a Pod took.
        errors: Answers that were no success.
    """

    def __init__(self, plane: ControlPlane, report: Callable[[str], None]) -> None:
        self.counts = Counter[str]()
        self.seconds: list[float] = []
        self.errors: list[str] = []
        self._plane = plane
        self._report = report
        self._lock = Lock()
        authority = plane.authority.read_text()
        self._context = ssl.create_default_context(cadata=authority)
        self._headers = {
            "Authorization": f"Bearer {plane.tokens['admin']}",
            "Content-Type": "application/json",
        }

    def create_namespaces(self, count: int) -> float:
        """Create namespaces that opted in, and return how many seconds that took."""

        def create(connection: http.client.HTTPSConnection, number: int) -> None:
            body = {"metadata": {"name": f"space-{number}", "labels": ENABLED}}
            self._post(connection, "/api/v1/namespaces", body)

        return self._share("namespaces", count, create, float("inf"))

    def create_pods(self, count: int, spaces: int, rules: int, deadline: float) -> float:
        """Create Pods of two containers through the webhook, and return the seconds.

        Args:
            count: How many Pods.
            spaces: How many namespaces there are.
            rules: How many rules there are.
            deadline: When to stop, by `time.monotonic`.
        """

        def create(connection: http.client.HTTPSConnection, number: int) -> None:
            team = number % rules
            images = (f"team-{team:05}/app:{number}", f"team-{rules - 1 - team:05}/sidecar:1")
            containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
            body = {
                "metadata": {"name": f"web-{number}", "labels": {"app": f"web-{team}"}},
                "spec": {"containers": containers},
            }
            path = namespaced("pods", f"space-{number % spaces}")
            begin = time.perf_counter()
            content = self._post(connection, path, body)
            spent = time.perf_counter() - begin
            rewritten = content.count(f'"{TARGET}/'.encode()) >= len(images)
            with self._lock:
                self.seconds.append(spent)
                self.counts.update(created=bool(content), rewritten=rewritten)

        return self._share("Pods", count, create, deadline)

    def copy_pods(self, first: int, count: int, spaces: int) -> None:
        """Write copies of a Pod that was admitted into etcd, numbered from one to another.

        It takes a fraction of the time, and lists, caches and watches have as much to do.
        """
        pods = self._plane.api.get(namespaced("pods", "space-0"), limit="1")["items"]
        (template,) = pods
        del template["metadata"]["resourceVersion"]
        url = f"http://{self._plane.host}:2379/v3/kv/txn"
        with httpx.Client(timeout=60) as client:
            for start in range(first, count, MOST_WRITES):
                writes = []
                for number in range(start, min(start + MOST_WRITES, count)):
                    space, name = f"space-{number % spaces}", f"web-{number}"
                    template["metadata"] |= {"name": name, "namespace": space, "uid": str(uuid4())}
                    pod = json.dumps({"apiVersion": "v1", "kind": "Pod"} | template)
                    put = {"key": encode(f"/registry/pods/{space}/{name}"), "value": encode(pod)}
                    writes.append({"requestPut": put})
                client.post(url, json={"success": writes}).raise_for_status()

    def _share(
        self,
        what: str,
        count: int,
        create: Callable[[http.client.HTTPSConnection, int], None],
        deadline: float,
    ) -> float:
        """Create so many of something from all clients."""
        numbers = itertools.count()
        begin = time.monotonic()
        host = self._plane.host

        def work() -> None:
            connection = http.client.HTTPSConnection(host, 443, context=self._context, timeout=60)
            while (number := next(numbers)) < count and time.monotonic() < deadline:
                create(connection, number)
                if number and number % max(1, count // 10) == 0:
                    passed = time.monotonic() - begin
                    self._report(f"{number:,} of {count:,} {what} in {passed:.0f} s")

        threads = [Thread(target=work) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - begin

    def _post(
        self, connection: http.client.HTTPSConnection, path: str, body: dict[str, object]
    ) -> bytes:
        """Create an object, again if the API server asks for that, and return it."""
        text = json.dumps(body)
        for _ in range(30):
            try:
                connection.request("POST", path, text, self._headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                problem = repr(error)
            else:
                if answer.status in CREATED:
                    return content
                problem = content.decode(errors="replace")
                # A new namespace has no service account at once.
                is_early = answer.status == http.client.FORBIDDEN and "serviceaccount" in problem
                if answer.status not in AGAIN and not is_early:
                    break
            time.sleep(1)
        self.errors.append(problem)
        return b""


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

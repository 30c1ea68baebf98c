"""Traffic as an API server, a Prometheus and people send it, with storms and odd clients."""

from __future__ import annotations

import http.client
import itertools
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread

import httpx

from tests.bench.bodies import MARK, make_review
from tests.server.process import JSON, Webhook

__all__ = ["HOST", "Traffic"]

HOST = "localhost"
CLIENTS, RATE = 4, 10.0  # reviews a second, of each
STORM_CLIENTS, STORM_RATE = 8, 40.0
STORM_EVERY, STORM_SECONDS = 60.0, 5.0
PEOPLE_EVERY, SCRAPES_EVERY, ODD_EVERY = 3.0, 5.0, 10.0
# Then a client connects again, and sees the certificate that is in use.
REVIEWS_A_CONNECTION = 300
NEW_EVERY, CHECKED_EVERY, SPACES = 5, 8, 997
PAGES = ("/", "/?lang=zh", "/api/state", "/api/decisions", "/api/rewrites", "/api/rules")
SIZES = (3_000, 7_000, 40_000)
USUAL = [make_review(size) for size in SIZES]
NEW = [make_review(size, marked=True) for size in SIZES]
OWNER, SPACE = b"7dd1fc11a001", b'"namespace":"shop"'
PATCHED = b'"patchType":"JSONPatch"'
LARGE = b" " * (8 << 20)


class Traffic:
    """Everything that a webhook gets to do, until it is stopped.

    Args:
        webhook: The webhook.
        trust: Verifies its certificate.

    Attributes:
        latencies: Seconds of each steady review since the last sample.
        reviews: How many reviews were answered.
        storms: When each storm began, by `time.monotonic`.
        problems: What no client should see.
    """

    def __init__(self, webhook: Webhook, trust: ssl.SSLContext) -> None:
        self.latencies: list[float] = []
        self.reviews = 0
        self.storms: list[float] = []
        self.problems: list[str] = []
        self._webhook = webhook
        self._trust = trust
        self._numbers = itertools.count()
        self._stopping = Event()
        self._lock = Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send everything until the end of the block."""
        works = [*[self._review_steadily] * CLIENTS, self._storm]
        works += [self._scrape, self._look, self._be_odd]
        threads = [Thread(target=self._watch, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()

    def take_latencies(self) -> list[float]:
        """Return the seconds of each steady review since the last call."""
        with self._lock:
            taken, self.latencies = self.latencies, []
        return taken

    def _watch(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it is reported at the end
            self.problems.append(f"{work.__name__}: {error!r}")

    def _review_steadily(self) -> None:
        self._send(RATE, self._stopping.is_set, noted=True)

    def _storm(self) -> None:
        """Now and then, let many clients connect at once, and send many reviews."""
        while not self._stopping.wait(STORM_EVERY):
            self.storms.append(time.monotonic())
            end = time.monotonic() + STORM_SECONDS

            def is_over(end: float = end) -> bool:
                return time.monotonic() > end or self._stopping.is_set()

            threads = [
                Thread(target=self._watch, args=(lambda: self._send(STORM_RATE, is_over),))
                for _ in range(STORM_CLIENTS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _send(self, rate: float, is_over: Callable[[], bool], *, noted: bool = False) -> None:
        """Send reviews at a rate until it is over."""
        while not is_over():
            connection = self._connect()
            due = time.monotonic()
            for _ in range(REVIEWS_A_CONNECTION):
                path, body = self._next_review()
                begin = time.perf_counter()
                connection.request("POST", path, body, JSON)
                answer = connection.getresponse()
                content = answer.read()
                spent = time.perf_counter() - begin
                with self._lock:
                    self.reviews += 1
                    if noted:
                        self.latencies.append(spent)
                # What the mirror has is for the checks to find out.
                good = path != "/mutate" or PATCHED in content
                if answer.status != http.client.OK or not good:
                    self.problems.append(f"{path}: {answer.status} {content[:300]!r}")
                due += 1 / rate
                if is_over():
                    break
                time.sleep(max(0.0, due - time.monotonic()))
            connection.close()

    def _connect(self) -> http.client.HTTPSConnection:
        port = self._webhook.address[1]
        return http.client.HTTPSConnection(HOST, port, timeout=30, context=self._trust)

    def _next_review(self) -> tuple[str, bytes]:
        """Return the path and the body of the next review."""
        number = next(self._numbers)
        checked = number % CHECKED_EVERY == 0
        new = checked or number % NEW_EVERY == 0
        body = (NEW if new else USUAL)[number % len(SIZES)]
        digits = f"{number:0{len(MARK)}}".encode()
        body = body.replace(MARK.encode(), digits).replace(OWNER, digits)
        body = body.replace(SPACE, b'"namespace":"team-%d"' % (number % SPACES))
        return "/mutate/checked" if checked else "/mutate", body

    def _scrape(self) -> None:
        with httpx.Client(base_url=self._webhook.operations, timeout=60) as client:
            while not self._stopping.wait(SCRAPES_EVERY):
                for path in ("/metrics", "/healthz", "/readyz"):
                    client.get(path).raise_for_status()

    def _look(self) -> None:
        """Read the console, as somebody does who leaves it open."""
        with httpx.Client(base_url=self._webhook.operations, timeout=60) as client:
            for path in itertools.cycle(PAGES):
                if self._stopping.wait(PEOPLE_EVERY):
                    return
                client.get(path).raise_for_status()

    def _be_odd(self) -> None:
        """Send what no API server sends, and leave in the middle of it."""
        address = self._webhook.address
        while not self._stopping.wait(ODD_EVERY):
            with self._webhook.client() as client, suppress(httpx.TransportError):
                for content, status in ((b"{", 400), (b"[" * 5000, 400), (LARGE, 413)):
                    answer = client.post("/mutate", content=content, headers=JSON)
                    if answer.status_code != status:
                        self.problems.append(f"{status} became {answer.status_code}")
            with suppress(OSError):
                plain = socket.create_connection(address, timeout=5)
                plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
                plain.close()
                half = self._trust.wrap_socket(
                    socket.create_connection(address, timeout=5), server_hostname=HOST
                )
                half.sendall(b"POST /mutate HTTP/1.1\r\ncontent-length: 7000\r\n\r\n{")
                half.close()

"""A webhook under attack: its memory, and how long others wait meanwhile."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.server.process import serving
from tests.tools.loopback import unverified

JSON = {"content-type": "application/json"}


def review_of_pod(pod, **request):
    """Return the body of a review of a Pod that is created."""
    request = {"uid": "1", "operation": "CREATE", "namespace": "default", "object": pod, **request}
    request.setdefault("kind", {"group": "", "version": "v1", "kind": "Pod"})
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(review, separators=(",", ":")).encode()


def pod_of(*images, **metadata):
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {"metadata": {"name": "web", **metadata}, "spec": {"containers": containers}}


def review_of_images(*images):
    return review_of_pod(pod_of(*images))


def resident_mebibytes(process):
    """The memory that a process holds now, by the kernel's account."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {process.pid} has ended")


class Bystander(threading.Thread):
    """Somebody else's reviews, one at a time on a connection of their own.

    Attributes:
        began: When each began, by `time.perf_counter`.
        seconds: How long each took.
        failures: What went wrong.
    """

    def __init__(self, webhook, image="nginx:1.27"):
        super().__init__(daemon=True)
        self._webhook, self._body = webhook, review_of_images(image)
        self._ended = threading.Event()
        self.began, self.seconds, self.failures = [], [], []

    def run(self):
        with self._webhook.client(timeout=60) as client:
            while not self._ended.wait(0.01):
                began = time.perf_counter()
                try:
                    response = client.post("/mutate", content=self._body, headers=JSON)
                    if response.status_code != 200:
                        self.failures.append(response.status_code)
                except httpx.HTTPError as error:
                    self.failures.append(error)
                self.seconds.append(time.perf_counter() - began)
                self.began.append(began)

    def worst_between(self, start, end):
        """The longest wait of a review that was sent or answered within a time, in milliseconds."""
        times = zip(self.began, self.seconds, strict=False)
        waits = [seconds for began, seconds in times if began < end and began + seconds > start]
        return max(waits, default=0) * 1000

    def end(self):
        self._ended.set()
        self.join(60)

    @property
    def worst(self):
        """The longest wait, in milliseconds."""
        return max(self.seconds) * 1000


@contextmanager
def watched(webhook, image="nginx:1.27"):
    """Give a bystander that asks for an image until the end of the block."""
    bystander = Bystander(webhook, image)
    bystander.start()
    time.sleep(0.3)
    try:
        yield bystander
    finally:
        bystander.end()


@contextmanager
def attacked(folder, rules, *options):
    """Run a webhook with these rules, warmed up by some usual reviews."""
    path = folder / "rules.yaml"
    path.write_text(rules)
    with serving(path, *options) as webhook:
        with webhook.client() as client:
            for number in range(50):
                body = review_of_images(f"nginx:{number}", "redis:7")
                client.post("/mutate", content=body, headers=JSON)
        yield webhook


def send(webhook, bodies, path="/mutate"):
    """Send reviews one after the other, as fast as they are answered."""
    with webhook.client(timeout=120) as client:
        return [client.post(path, content=body, headers=JSON) for body in bodies]


def connect(webhook, source="127.0.0.1"):
    """Open a connection with TLS."""
    plain = socket.create_connection(webhook.address, timeout=60, source_address=(source, 0))
    context: ssl.SSLContext = unverified()
    return context.wrap_socket(plain)

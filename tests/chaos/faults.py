"""The faults: each strikes a site, and what it did is undone at its end."""

from __future__ import annotations

import base64
import resource
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import yaml

from tests.chaos.load import CLIENTS
from tests.chaos.site import Site
from tests.cluster.api import namespaced
from tests.cluster.processes import until
from tests.tools.exhaustion import exhausted
from tests.tools.loopback import unverified
from webhook.tls.ca import create_ca
from webhook.tls.ca_secret import CASecret

__all__ = ["FAULTS", "Fault", "MissedError"]

HOLD = 3.0
LEAST_OUTAGES, MOST_OUTAGES = 5, 50
EXISTING, TLS = "somebodys-certificate", "kubernetes.io/tls"
JSON = {"Content-Type": "application/json"}
LARGE = b'{"a": "' + b"x" * (6 << 20) + b'"}'


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        name: What happens.
        strike: Makes it happen, holds it for a while and undoes it.
        unchanged: How many Pods may be admitted unchanged: those that a replica had been asked
            about, or was asked about before the Service noticed. None if it is up to the mirror.
        around: What the site needs for it; set up before Pods are created, undone after them.
    """

    name: str
    strike: Callable[[Site], None]
    unchanged: int | None = 0
    around: Callable[[Site], AbstractContextManager[None]] = lambda _: nullcontext()


class MissedError(RuntimeError):
    """A fault had no effect, so its row would prove nothing."""


def hold() -> None:
    time.sleep(HOLD)


def expect(effect: Callable[[], object], what: str) -> None:
    """Wait for what a fault does to the webhook."""
    try:
        until(effect, what, HOLD * 5)
    except TimeoutError as error:
        raise MissedError(str(error)) from error


def do_nothing(site: Site) -> None:
    hold()
    for replica in site.release.replicas:
        expect(lambda replica=replica: site.reviews(replica), f"reviews at {replica.name}")


def kill(site: Site) -> None:
    site.release.kill(site.release.replicas[-1])
    hold()


def terminate(site: Site) -> None:
    replica = site.release.replicas[-1]
    replica.process.send_signal(signal.SIGTERM)
    until(lambda: replica.process.poll() is not None, "the end of the replica")
    site.release.kill(replica)


def stall(site: Site) -> None:
    site.first.process.send_signal(signal.SIGSTOP)
    hold()
    site.first.process.send_signal(signal.SIGCONT)


def exhaust_descriptors(site: Site) -> None:
    with exhausted(site.first.process.pid, resource.RLIMIT_NOFILE):
        site.proxy.drop()
        expect(lambda: site.first.address not in site.proxy.ready, "a failed probe")
        hold()


def send_large(site: Site) -> int | None:
    """Send a large body to the first replica, and return the status of the answer, if any."""
    url = f"https://{site.first.address}:8443/mutate"
    try:
        return httpx.post(url, content=LARGE, headers=JSON, verify=unverified()).status_code
    except httpx.TransportError:
        return None


def exhaust_memory(site: Site) -> None:
    with exhausted(site.first.process.pid, resource.RLIMIT_DATA):
        site.proxy.drop()
        # Together more than Python has in reserve.
        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = [*pool.map(lambda _: send_large(site), range(CLIENTS))]
        if None not in answers:
            raise MissedError("all large bodies were read")
        hold()


def fill_disk(site: Site) -> None:
    filler = site.disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        size = site.first.log.stat().st_size
        reviews = site.reviews(site.first)
        hold()
        if site.first.log.stat().st_size > size + 4096 or site.reviews(site.first) == reviews:
            raise MissedError("the log has grown, or there were no reviews to log")
    finally:
        filler.unlink()


def jump(site: Site, hours: int) -> None:
    site.clock.write_text(f"{hours:+}h")
    jumped = datetime.now(UTC) + timedelta(hours=hours)

    def is_logged() -> bool:
        seen = datetime.fromisoformat(site.first.list_lines()[-1]["time"])
        return abs(seen - jumped) < timedelta(minutes=5)

    try:
        expect(is_logged, "a line of that time")
        hold()
    finally:
        site.clock.write_text("+0")


@contextmanager
def changed_rules(site: Site, text: str) -> Iterator[None]:
    """Let the Pods have another rules file until the end of the block."""
    path = namespaced("configmaps", site.release.name, f"{site.release.name}-rules")

    found = site.plane.api.get(path)["metadata"]
    metadata = {key: found[key] for key in ("name", "labels", "annotations") if key in found}

    def change(data: dict[str, str]) -> None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        # As Helm, which otherwise refuses to change it again.
        site.plane.api.patch(path, body, "apply", fieldManager="helm", force="true")
        site.release.bring_rules()

    change({"rules.yaml": text})
    try:
        yield
    finally:
        change(site.rules)


def replace_rules(site: Site, text: str) -> None:
    event = "rules refused, the old ones stay in use"
    before = len(site.first.logged(event))
    with changed_rules(site, text):
        expect(lambda: len(site.first.logged(event)) > before, "the line that refuses them")
        hold()


def mismatch_keys(site: Site) -> None:
    """Give the CA in the Secret the key of another one."""
    before = site.plane.api.get(site.release.authority)["data"]
    other = create_ca("other", datetime.now(UTC), timedelta(days=30))
    key = CASecret((other.certificate,), (other,)).encode()["ca.key"]
    data = {"ca.key": base64.b64encode(key).decode()}
    site.plane.api.patch(site.release.authority, {"data": data})

    def is_noticed() -> bool:
        now = site.plane.api.get(site.release.authority)["data"]
        return now["ca.crt"] != before["ca.crt"]

    try:
        expect(is_noticed, "a new CA in the Secret")
        hold()
    finally:
        site.plane.api.patch(site.release.authority, {"data": before})


@contextmanager
def existing_certificate(site: Site) -> Iterator[None]:
    """Let the replicas serve with a certificate in a Secret, which somebody else provides."""
    release, now = site.release, datetime.now(UTC)
    authority = create_ca("somebody", now, timedelta(days=30))
    issued = authority.issue([f"{release.name}.{release.name}.svc"], now, timedelta(days=7))
    existing = {"secretName": EXISTING, "caBundle": authority.pem.decode()}
    path = namespaced("secrets", release.name)
    pair = encode_pair(issued.chain, issued.key)
    site.plane.api.post(path, {"metadata": {"name": EXISTING}, "type": TLS, "data": pair})
    site.replace(certificates={"mode": "existing", "existing": existing})
    try:
        yield
    finally:
        site.replace(certificates={"mode": "self"})


def mismatch_pair(site: Site) -> None:
    """Give the certificate in a Secret the key of another one."""
    path = namespaced("secrets", site.release.name, EXISTING)
    before = site.plane.api.get(path)["data"]
    now = datetime.now(UTC)
    other = create_ca("other", now, timedelta(days=30)).issue(["other"], now, timedelta(days=7))
    data = {"tls.key": encode_pair(other.chain, other.key)["tls.key"]}
    site.plane.api.patch(path, {"data": data})
    site.release.bring_certificate(EXISTING)
    refused = "certificate refused; the old one stays in use"
    try:
        for replica in site.release.replicas:
            expect(lambda replica=replica: replica.logged(refused), "the line that refuses it")
        # New connections are where a broken pair would be seen.
        site.proxy.drop()
        hold()
    finally:
        site.plane.api.patch(path, {"data": before})
        site.release.bring_certificate(EXISTING)


def encode_pair(chain: bytes, key: bytes) -> dict[str, str]:
    """Return the data of a Secret with a certificate."""
    files = {"tls.crt": chain, "tls.key": key}
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


def flap(site: Site) -> None:
    """Let a mirror be down every other moment, and its answers be asked for again and again."""
    availability = {"mode": "check", "plainHTTP": [site.mirror.address], "ttl": "1s"}
    hub = {"match": "docker.io", "mirrors": [f"{site.mirror.address}/hub"]}
    text = yaml.safe_dump({"rules": [hub], "availability": availability})
    with changed_rules(site, text):
        expect(lambda: site.mirror.answered, "a question at the mirror")
        site.mirror.refused = 0
        # On a slow machine it takes more outages until somebody asks during one.
        for number in range(MOST_OUTAGES):
            for change in (site.mirror.up.clear, site.mirror.up.set):
                change()
                time.sleep(HOLD / 10)
            if number >= LEAST_OUTAGES and site.mirror.refused:
                return
        raise MissedError("nobody asked the mirror while it was down")


def stop_reading(site: Site) -> None:
    site.reader.held.set()
    try:
        reviews = site.reviews(site.release.replicas[1])
        hold()
        if site.reviews(site.release.replicas[1]) == reviews:
            raise MissedError("there were no reviews to log")
    finally:
        site.reader.held.clear()


# Each client has at most one Pod at a replica, and asks it once more before the Service knows.
LOST = 2 * CLIENTS

FAULTS = (
    Fault("nothing", do_nothing),
    Fault("a log consumer stops reading", stop_reading),
    Fault("no more file descriptors", exhaust_descriptors, LOST),
    Fault("the clock jumps two hours ahead", lambda site: jump(site, 2)),
    Fault("the clock jumps two hours back", lambda site: jump(site, -2)),
    Fault("rules replaced by garbage", lambda site: replace_rules(site, "\0{[garbage")),
    Fault("rules replaced by an empty file", lambda site: replace_rules(site, "")),
    Fault("the CA gets the key of another", mismatch_keys),
    # As the rules say for unknown answers, an image may stay as it is while its mirror is down.
    Fault("a mirror flaps", flap, None),
    # It may cut a line of the log, which the faults above read.
    Fault("the disk of the log is full", fill_disk),
    Fault("a replica stalls", stall, LOST),
    Fault("SIGTERM of a replica", terminate),
    Fault("SIGKILL of a replica", kill, LOST),
    Fault("the API server restarts", lambda site: site.plane.restart("kube-apiserver", 1)),
    Fault("etcd restarts", lambda site: site.plane.restart("etcd", 1)),
    # The replica may end, and the one in its place has neither that clock nor that disk.
    Fault("no more memory", exhaust_memory, LOST),
    # These replicas log to files that can be read.
    Fault(
        "a certificate gets the key of another",
        mismatch_pair,
        LOST,
        existing_certificate,
    ),
)

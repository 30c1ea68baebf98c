"""Measures what a large cluster costs: many namespaces, Pods, rules and replicas.

python -m tests.scale [--pods 100000] [--minutes 25] …
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import resource
import shutil
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import httpx

from tests.attack.target import review_of_images
from tests.cluster.api import namespaced
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.processes import until
from tests.cluster.programs import program
from tests.cluster.release import CHART, ROOT, Release, Replica, trusted
from tests.cluster.world import World
from tests.scale.crowd import TARGET, Crowd, write_rules
from tests.scale.figures import Meter, Scrape, read_memory, read_seconds
from tests.scale.replicas import Replicas, publish_endpoints
from tests.tools.golang import GoMissingError
from tests.tools.helm import HelmMissingError, helm4
from webhook.cli.output import show_table, show_text
from webhook.tls.ca import create_ca
from webhook.tls.ca_secret import CASecret

HOST, SERVICES = "10.95.0.1", "10.95.0.0/17"
# A network of our own: an EndpointSlice may not name loopback addresses.
NETWORK = (
    "unshare",
    "--net",
    "sh",
    "-c",
    'ip link set lo up && ip address add "$0" dev lo && "$@"',
)
MOST = 24 * 1024  # MiB, of all processes together
QUIET = 60.0
LIMIT = 1 << 20  # bytes of a ConfigMap
ADMISSION = "apiserver_admission_webhook_admission_duration_seconds"
REQUESTS = "apiserver_request_total"
WATCHES = "apiserver_longrunning_requests"
OURS = {"name": "default.mirrorhook.io"}
PAGES = ("/", "/api/decisions", "/api/decisions?text=team-00042", "/api/replicas", "/api/rules")

Row = tuple[str, str]


def report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass
class Large:
    """A large cluster.

    Attributes:
        plane: The cluster.
        release: The release of the chart.
        replica: The replica that answers all reviews.
        others: The simulated replicas.
        meter: Watches memory.
        options: How large it is.
    """

    plane: ControlPlane
    release: Release
    replica: Replica
    others: Replicas
    meter: Meter
    options: argparse.Namespace

    @property
    def api(self):
        return self.plane.api

    @property
    def rules(self) -> Path:
        return self.replica.folder / "rules/rules.yaml"


@contextmanager
def large(options: argparse.Namespace) -> Iterator[tuple[Large, list[Row]]]:
    """Run a cluster with many replicas, and return it with what that took."""
    with ExitStack() as stack:
        plane = stack.enter_context(control_plane(host=HOST, services=SERVICES))
        release = Release(plane)
        stack.callback(release.close)
        # Helm takes long for so many rules: see `render`.
        release.install({"rules": write_rules(1), "replicas": 1})
        path = namespaced("configmaps", release.name, f"{release.name}-rules")
        plane.api.patch(path, {"data": {"rules.yaml": as_file(options.rules)}})
        begin = time.monotonic()
        replica = release.serve_alone()
        until(lambda: trusted(release), "a CA bundle in the configuration")
        started = time.monotonic() - begin
        pids = {name: each.pid for name, each in plane.processes.running.items()}
        meter = Meter(pids)
        stack.callback(meter.stop)
        others = Replicas(release, options.replicas - 1)
        begin = time.monotonic()
        stack.enter_context(others.running())
        until(lambda: all(each.ready for each in others.replicas), "replicas that are ready", 300)
        joined = time.monotonic() - begin
        publish_endpoints(release, options.replicas)
        stored = plane.api.get(namespaced("configmaps", release.name, f"{release.name}-rules"))
        size = len(stored["data"]["rules.yaml"])
        rows = [
            (f"ConfigMap with {options.rules:,} rules", f"{size / 1024:,.0f} KiB"),
            ("start of a replica until it is ready", f"{started:.1f} s"),
            ("memory of that replica", f"{read_memory(replica.process.pid):,.0f} MiB"),
            (f"{options.replicas - 1} more replicas ready after", f"{joined:.1f} s"),
        ]
        yield Large(plane, release, replica, others, meter, options), rows


def fill(here: Large) -> Iterator[Row]:
    """Create namespaces and Pods, and yield what that took."""
    crowd, options = Crowd(here.plane, report), here.options
    spent = crowd.create_namespaces(options.namespaces)
    yield f"{options.namespaces:,} namespaces", f"{spent:,.0f} s"
    world = World(here.plane)
    world.wait_for("space-0", "team-00001/app", f"{TARGET}/team-00001/app")
    before, seconds = Scrape(here.plane), here.meter.seconds()
    deadline = time.monotonic() + options.minutes * 60
    spent = crowd.create_pods(options.pods, options.namespaces, options.rules, deadline)
    after, used = Scrape(here.plane), here.meter.seconds()
    created, rewritten = crowd.counts["created"], crowd.counts["rewritten"]
    ordered = sorted(crowd.seconds)
    yield "Pods created, rewritten, failed", f"{created:,}, {rewritten:,}, {len(crowd.errors):,}"
    yield "Pods a second", f"{created / spent:,.0f}"
    middle, most = statistics.median(ordered), ordered[len(ordered) * 99 // 100]
    both = f"{in_milliseconds(middle)}, {in_milliseconds(most)}"
    yield "creation of a Pod, 50 % and 99 %", both
    mean = after.mean_since(before, ADMISSION, **OURS)
    share = after.share_within(before, "0.025", ADMISSION, **OURS)
    yield "of that, the call of the webhook", f"{mean:.1f} ms, {100 * share:.1f} % within 25 ms"
    for name, total in used.items():
        each = 1000 * (total - seconds[name]) / max(1, created)
        yield f"processor of {name} for each Pod", f"{each:.2f} ms"
    for error in crowd.errors[:3]:
        report(f"failed: {error[:500]}")
    begin, name = time.monotonic(), "kube-apiserver"
    seconds = here.meter.seconds()
    crowd.copy_pods(len(ordered), options.pods, options.namespaces)
    until(lambda: count_pods(here.plane) >= options.pods - len(crowd.errors), "all Pods", 300)
    spent = time.monotonic() - begin
    used = here.meter.seconds()[name] - seconds[name]
    yield "copies of Pods, written into etcd", f"{options.pods - len(ordered):,} in {spent:.0f} s"
    yield f"processor of {name} to take them into its cache", f"{used:.1f} s"


def count_pods(plane: ControlPlane) -> int:
    """Return how many Pods there are, without reading them."""
    found = plane.api.get("/api/v1/pods", limit="1")
    return len(found["items"]) + found["metadata"].get("remainingItemCount", 0)


def rest(here: Large) -> Iterator[Row]:
    """Wait without Pods, and yield what the replicas ask meanwhile."""
    names = {
        "secrets": "Secret",
        "mutatingwebhookconfigurations": "webhook configuration",
        "endpointslices": "EndpointSlices",
    }
    before, seconds = Scrape(here.plane), here.meter.seconds()
    time.sleep(QUIET)
    after, used = Scrape(here.plane), here.meter.seconds()
    passed = after.at - before.at
    for resource_, name in names.items():
        labels = {"resource": resource_, "verb": "GET"}
        asked = after.sum(REQUESTS, **labels) - before.sum(REQUESTS, **labels)
        watches = after.sum(WATCHES, resource=resource_, verb="WATCH")
        yield f"at rest: {name}", f"{asked / passed:.1f} requests a second, {watches:.0f} watches"
    for name in ("kube-apiserver", f"{here.release.name}-1"):
        share = 100 * (used[name] - seconds[name]) / passed
        yield f"at rest: processor of {name}", f"{share:.1f} % of one"


def change_authority(here: Large) -> Iterator[Row]:
    """Break the key of the CA, and yield how long it takes until all replicas have a new one."""
    old = {each.serial for each in here.others.replicas}
    before = Scrape(here.plane)
    begin = time.monotonic()
    other = create_ca("other", datetime.now(UTC), timedelta(days=30))
    key = CASecret((other.certificate,), (other,)).encode()["ca.key"]
    data = {"ca.key": base64.b64encode(key).decode()}
    here.api.patch(here.release.authority, {"data": data})

    def is_changed() -> bool:
        serials = {each.serial for each in here.others.replicas}
        return len(serials) == 1 and serials != old and all(r.ready for r in here.others.replicas)

    until(is_changed, "one new CA", 600)
    spent = time.monotonic() - begin
    after = Scrape(here.plane)
    writes = sum(
        after.sum(REQUESTS, resource=name, verb=verb)
        - before.sum(REQUESTS, resource=name, verb=verb)
        for name in ("secrets", "mutatingwebhookconfigurations")
        for verb in ("POST", "PUT", "PATCH", "APPLY")
    )
    conflicts = after.sum(REQUESTS, code="409") - before.sum(REQUESTS, code="409")
    yield "a new CA at all replicas after", f"{spent:.1f} s"
    yield "writes for that, of which conflicts", f"{writes:.0f}, {conflicts:.0f}"


def reload(here: Large) -> Iterator[Row]:
    """Change one of the rules, and yield how long that takes, and how long reviews wait."""
    waits: list[float] = []
    ended = Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    body = review_of_images("team-00001/app:1")
    headers = {"Content-Type": "application/json"}

    def ask() -> None:
        connection = http.client.HTTPSConnection(here.replica.address, 443, context=context)
        while not ended.wait(0.01):
            begin = time.perf_counter()
            connection.request("POST", "/mutate", body, headers)
            connection.getresponse().read()
            waits.append(time.perf_counter() - begin)

    thread = Thread(target=ask)
    thread.start()
    time.sleep(2)
    usual = statistics.median(waits)
    waits.clear()
    event, seconds = "rules reloaded", read_seconds(here.replica.process.pid)
    path = namespaced("configmaps", here.release.name, f"{here.release.name}-rules")
    text = here.api.get(path)["data"]["rules.yaml"]
    here.api.patch(path, {"data": {"rules.yaml": text.replace("team-00001", "team-x0001")}})
    begin = time.monotonic()
    here.release.bring_rules(here.replica)
    until(lambda: here.replica.logged(event), "the new rules", 120)
    spent = time.monotonic() - begin
    ended.set()
    thread.join()
    used = read_seconds(here.replica.process.pid) - seconds
    yield "reload of the rules after", f"{spent:.1f} s, {used:.1f} s of processor"
    yield (
        "a review meanwhile, 50 % and longest",
        (
            f"{in_milliseconds(statistics.median(waits))} ({in_milliseconds(usual)} before), "
            f"{in_milliseconds(max(waits))}"
        ),
    )


def run_commands(here: Large) -> Iterator[Row]:
    """Run the commands that read a whole cluster, and yield what they take."""
    kubeconfig = f"--kubeconfig={here.plane.kubeconfig}"
    for name, *arguments in (
        ("audit", f"--config={here.rules}", kubeconfig),
        ("audit --output json", f"--config={here.rules}", kubeconfig),
        ("doctor", kubeconfig, f"--namespace={here.release.name}"),
    ):
        begin = time.monotonic()
        command = [sys.executable, "-m", "webhook", *name.split(), *arguments]
        environment = here.plane.environment | {"PYTHONPATH": str(ROOT)}
        memory, seconds, code, size = measure(command, environment)
        spent = time.monotonic() - begin
        yield (
            f"mirrorhook {name}",
            (
                f"{spent:.1f} s, {seconds:.1f} s of processor, {memory:,.0f} MiB, "
                f"writes {size:,.1f} MiB, exit {code}"
            ),
        )


MEASURE = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_maxrss / 1024, used.ru_utime + used.ru_stime, code]), file=sys.stderr)
"""


def look(here: Large) -> Iterator[Row]:
    """Read the console, and yield what each page takes."""
    before = read_memory(here.replica.process.pid)
    # As by kubectl port-forward: the console is for visitors on the same machine.
    local = httpx.HTTPTransport(local_address="127.0.0.1")
    with httpx.Client(timeout=60, transport=local, headers={"Host": "localhost"}) as client:
        for page in PAGES:
            begin = time.monotonic()
            answer = client.get(f"http://{here.replica.address}:8080{page}")
            spent = time.monotonic() - begin
            yield (
                f"console: {page}",
                (
                    f"HTTP {answer.status_code}, {in_milliseconds(spent)}, "
                    f"{len(answer.content) / 1024:,.0f} KiB"
                ),
            )
    memory = read_memory(here.replica.process.pid)
    yield "memory of the replica after the console", f"{memory:,.0f} MiB ({before:,.0f} before)"
    begin = time.monotonic()
    count = here.others.list_endpoints(here.release)
    yield f"list of {count} endpoints", f"{(time.monotonic() - begin) * 1000:.0f} ms"


def weigh(here: Large) -> Iterator[Row]:
    """Yield what everything holds in the end."""
    for name, memory in here.meter.most.items():
        yield f"memory of {name}, at most", f"{memory:,} MiB"
    yield "memory of all together, at most", f"{here.meter.total:,.0f} MiB"
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield "memory of the simulated replicas and clients", f"{usage.ru_maxrss / 1024:,.0f} MiB"
    size = sum(path.stat().st_size for path in (here.plane.folder / "etcd").rglob("db"))
    yield "database of etcd", f"{size / 2**20:,.0f} MiB"


def render(here: Large) -> Iterator[Row]:
    """Render the chart with all rules, as helm install does first, and yield what that takes."""
    values = here.plane.folder / "values.json"
    values.write_text(json.dumps({"rules": write_rules(here.options.rules)}))
    command = [str(helm4()), "template", "release", str(CHART), f"--values={values}"]
    memory, seconds, code, size = measure(command, here.plane.environment)
    yield (
        f"helm template with {here.options.rules:,} rules",
        (f"{seconds:.1f} s of processor, {memory:,.0f} MiB, exit {code}, {size:,.1f} MiB"),
    )


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float, int, float]:
    """Run a command; return MiB, seconds of processor, its exit code, and MiB of output."""
    done = subprocess.run(
        # The largest child so far counts, so each is a child of a process of its own.
        [sys.executable, "-c", MEASURE, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    *errors, figures = done.stderr.decode(errors="replace").splitlines()
    memory, seconds, code = json.loads(figures)
    report(f"{' '.join(command[:6])} exits with {code}: {' '.join(errors)[-500:]}")
    return memory, seconds, code, len(done.stdout) / 2**20


def find_most_rules(here: Large) -> Iterator[Row]:
    """Yield how many such rules a ConfigMap takes, by asking the API server."""
    path = namespaced("configmaps", here.release.name)
    low, high = 1, 100_000
    while high - low > 1:
        middle = (low + high) // 2
        if len(as_file(middle)) > 2 * LIMIT:
            high = middle
            continue
        body = {"metadata": {"name": "many"}, "data": {"rules.yaml": as_file(middle)}}
        answer = here.api.ask("POST", path, body, dryRun="All")
        low, high = (middle, high) if answer.is_success else (low, middle)
    yield "rules that fit into a ConfigMap", f"{low:,}, of {len(as_file(low)) / low:.0f} bytes each"


def as_file(count: int) -> str:
    """Return a rules file as the chart writes it."""
    return "rules:\n" + "".join(
        f"- match: {rule['match']}\n  mirrors:\n  - {rule['mirrors'][0]}\n"
        for rule in write_rules(count)
    )


def main() -> None:
    """Build the cluster, fill it, and show what everything took."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale")
    parser.add_argument("--namespaces", type=int, default=5_000)
    parser.add_argument("--pods", type=int, default=100_000)
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--replicas", type=int, default=50)
    parser.add_argument(
        "--minutes", type=float, default=10, help="from then on, write copies of Pods into etcd"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("a control plane that listens on port 443 needs root")
    if not options.inside:
        enter_network()
    rows: list[Row] = []
    problems: list[str] = []
    with large(options) as (here, found):
        for row in found:
            show(rows, row)
        for phase in (
            find_most_rules(here),
            fill(here),
            rest(here),
            change_authority(here),
            reload(here),
            run_commands(here),
            look(here),
            weigh(here),
            render(here),
        ):
            try:
                for row in phase:
                    show(rows, row)
            except Exception as error:  # noqa: BLE001 - the others go on
                problems.append(repr(error)[:1000])
                report(f"failed: {problems[-1]}")
        total = here.meter.total
    show_text("A large cluster", style="bold")
    show_table(("WHAT", "HERE"), rows)
    if total > MOST:
        problems.append(f"all together took {total:,.0f} MiB")
    sys.exit("\n".join(problems) or 0)


def in_milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def show(rows: list[Row], row: Row) -> None:
    rows.append(row)
    report(f"{row[0]}: {row[1]}")


def enter_network() -> None:
    """Build what needs another network, and go on in a network of our own."""
    try:
        for name in ("etcd", "kube-apiserver", "kube-controller-manager"):
            program(name)
        helm4()
    except (GoMissingError, HelmMissingError) as error:
        sys.exit(str(error))
    if shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        sys.exit("first: apt-get install iproute2")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    command = [*NETWORK, f"{HOST}/16", sys.executable, "-m", "tests.scale", "--inside"]
    os.execvp(command[0], [*command, *sys.argv[1:]])


if __name__ == "__main__":
    main()

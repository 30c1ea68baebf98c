"""What asking mirrors costs: when a mirror hangs, when one dies, and what is remembered.

python -m tests.bench.availability     # a million distinct images, for some minutes
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime
from itertools import count

from tests.server.conftest import review_of
from tests.server.process import serving
from tests.tools.faults import faulty_proxy
from tests.tools.loopback import unverified
from tests.tools.registry import push_image, registry
from webhook.cli.output import show_table
from webhook.core import Availability, MirrorMap, Rule
from webhook.registry import CandidateSelector, CheckResult, CheckStatus, ImageChecker

MOST = 1.2
PODS_A_SECOND = 200
BUDGET = 1.5
COLD_SECONDS, OPEN_RUN_SECONDS = 3, 12
OPEN_SECONDS, QUICK, SLACK_SECONDS = 0.005, 0.99, 0.050
DISTINCT, MILLION = 50_000, 1_000_000
RULES = MirrorMap([Rule("docker.io", ["one.example/hub", "two.example/hub"])])


class Client:
    """Answers every check at once, in the same way."""

    def __init__(self, result):
        self.result = result

    async def check_image(self, _reference):
        return self.result


async def passing(images):
    """Select for a number of distinct images; return how many are known afterwards."""
    client = Client(CheckResult(CheckStatus.ABSENT))
    checker = ImageChecker(client, Availability(), time.monotonic)
    selector = CandidateSelector(checker)
    for number in range(0, images, 100):
        decisions = [RULES.decide(f"team/app{n}:1") for n in range(number, number + 100)]
        await selector.choose(decisions, BUDGET)
    return len(checker._cache)


def peak():
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(distinct):
    """Measure the memory after a number of distinct images, against a fifth of them."""
    few = distinct // 5
    asyncio.run(passing(few))
    before = peak()
    known = asyncio.run(passing(distinct))
    ratio = peak() / before
    yield f"memory after {few:,} distinct images", f"{before:.0f} MiB", ""
    yield (
        f"memory after {distinct:,}, of which {known:,} are known",
        f"{peak():.0f} MiB",
        f"× {ratio:.2f}",
    )
    if ratio > MOST:
        raise SystemExit(f"{distinct:,} images hold {ratio:.2f} × of {few:,}: over {MOST}")


class Load:
    """Reviews at a steady pace, over as many connections as it takes.

    Attributes:
        pods: When each was sent, how long its answer took, and the decision.
    """

    def __init__(self, webhook, image):
        self.webhook, self.image = webhook, image
        self.pods = []
        self._idle = []
        self._context = unverified()

    async def run(self, seconds, steps=()):
        """Send for so long; *steps* are pairs of a time and what to do then."""
        steps, sent, began = list(steps), [], time.monotonic()
        for number in range(int(seconds * PODS_A_SECOND)):
            due = began + number / PODS_A_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if steps and time.monotonic() - began >= steps[0][0]:
                steps.pop(0)[1]()
            sent.append(asyncio.create_task(self._pod(began)))
        await asyncio.gather(*sent)
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def _pod(self, began):
        body = review_of(self.image())
        head = (
            "POST /mutate?timeout=3s HTTP/1.1\r\nHost: x\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        if not self._idle:
            host, port = self.webhook.address
            self._idle.append(await asyncio.open_connection(host, port, ssl=self._context))
        reader, writer = self._idle.pop()
        at = time.monotonic()
        writer.write(head.encode() + body)
        answered = await reader.readuntil(b"\r\n\r\n")
        length = int(answered.lower().partition(b"content-length: ")[2].split()[0])
        response = json.loads(await reader.readexactly(length))["response"]
        took = time.monotonic() - at
        self._idle.append((reader, writer))
        assert response["allowed"]
        (decision,) = json.loads(response["auditAnnotations"]["decisions"])
        self.pods.append((at - began, took, decision))


def percentile(times, share):
    times = sorted(times)
    return times[round(share * (len(times) - 1))]


def rules_for(folder, *mirrors):
    hosts = ", ".join(f'"{mirror}"' for mirror in mirrors)
    path = folder / "checked.yaml"
    path.write_text(
        f"rules: [{{match: docker.io, mirrors: [{hosts}]}}]\n"
        f"availability: {{mode: check, plainHTTP: [{hosts}], ttl: 2s}}\n"
    )
    return path


def within(webhook, seconds):
    """Return how many answers the webhook gave within some seconds, and how many in all."""
    name = "mirrorhook_review_duration_seconds"
    return (
        webhook.metric(f'{name}_bucket{{le="{seconds}"}}'),
        webhook.metric(f"{name}_count"),
    )


def hanging(folder):
    """Send Pods with unknown images while the only mirror hangs."""
    numbers = count()
    with faulty_proxy() as proxy:
        proxy.mode = "hangs"
        with serving(rules_for(folder, proxy.address)) as webhook:
            cold = Load(webhook, lambda: f"team/app{next(numbers)}:1")
            asyncio.run(cold.run(COLD_SECONDS))
            before = within(webhook, OPEN_SECONDS)
            warm = Load(webhook, cold.image)
            asyncio.run(warm.run(OPEN_RUN_SECONDS))
            quick, answered = (
                b - a for a, b in zip(before, within(webhook, OPEN_SECONDS), strict=True)
            )
    worst = percentile([took for _, took, _ in cold.pods], 0.99)
    share = quick / answered
    seen = percentile([took for _, took, _ in warm.pods], 0.99)
    name = f"{PODS_A_SECOND} Pods a second, one mirror that hangs"
    pods = len(cold.pods) + len(warm.pods)
    yield (
        f"{name}, first {COLD_SECONDS} s: 99 % of the answers",
        f"{worst * 1000:.0f} ms",
        "",
    )
    yield f"with the breaker open: within {OPEN_SECONDS * 1000:.0f} ms", f"{share:.2%}", ""
    yield "99 % of those as a client sees them", f"{seen * 1000:.1f} ms", ""
    yield "Pods admitted", f"{pods:,} of {pods:,}", ""
    if worst > BUDGET + SLACK_SECONDS:
        raise SystemExit(f"99 % of the answers take {worst:.3f} s with a mirror that hangs")
    if share < QUICK:
        raise SystemExit(f"with the breaker open {share:.2%} come in {OPEN_SECONDS} s")


def dying(folder):
    """Have the first of two mirrors die in mid-run, and come back."""
    numbers = count()
    with registry(folder) as full, faulty_proxy(full) as proxy:
        for number in range(20):
            push_image(full, f"team/app{number}:1")

        def switch(mode):
            proxy.mode = mode

        with serving(rules_for(folder, proxy.address, full)) as webhook:
            load = Load(webhook, lambda: f"team/app{next(numbers) % 20}:1")
            steps = [(5, lambda: switch("hangs")), (15, lambda: switch("passes"))]
            began = time.time()
            asyncio.run(load.run(30, steps))
            opened, closed = (
                seconds_of(webhook.logged(event)[0]["time"]) - began
                for event in ("registry down", "registry up")
            )
    first = [at for at, _, decision in load.pods if decision["result"].startswith(proxy.address)]
    wrong = [at for at in first if opened + 0.05 < at < closed - 0.05]
    name = f"{PODS_A_SECOND} Pods a second, the first of two mirrors dies after 5 s"
    yield f"{name}: it is left alone after", f"{opened - 5:.1f} s", ""
    yield "Pods sent there until it is asked again", str(len(wrong)), ""
    yield "back for 15 s, it is asked again after", f"{closed - 15:.1f} s", ""
    yield "Pods admitted", f"{len(load.pods):,} of {30 * PODS_A_SECOND:,}", ""
    if wrong or not [at for at in first if at > closed]:
        raise SystemExit(f"Pods were sent to a dead mirror at {wrong[:5]}")


def memory_apart(distinct):
    """The same in a process of its own, whose memory nothing else has touched."""
    command = [sys.executable, "-m", "tests.bench.availability", str(distinct)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return json.loads(done.stdout)


def seconds_of(text):
    """Seconds since the epoch of a time in the log."""
    return datetime.fromisoformat(text).timestamp()


def figures(folder):
    """Everything, as rows of the table."""
    yield from hanging(folder)
    with suppress(RuntimeError):  # without the program docker-registry
        yield from dying(folder)
    yield from memory_apart(DISTINCT)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps([*memory(int(sys.argv[1]))]))
    else:
        show_table(("WHAT", "HERE", "AGAINST THE LINE ABOVE"), memory(MILLION))

from __future__ import annotations

import json
import math
import time

import httpx
import pytest

from tests.registry.fake_http import secret
from tests.server.conftest import review_of
from tests.server.parts import Parts
from tests.server.process import JSON, serving
from tests.tools import registry as registries
from tests.tools.faults import faulty_proxy, unused_port
from tests.tools.registry import push_image, registry
from tests.tools.waiting import until
from webhook.config import parse_rules
from webhook.core import Availability, Mirror
from webhook.registry import CheckResult, CheckStatus
from webhook.server import mirror_health
from webhook.server.limits import parse_timeout
from webhook.server.mirror_health import MirrorHealth, MirrorState
from webhook.server.policies import PolicyStore
from webhook.server.readiness import Readiness
from webhook.telemetry import Log, Metrics

CHECKED = "rules: [{{match: docker.io, mirrors: [{0}]}}]\navailability: {{mode: check{1}}}\n"
needs_registry = pytest.mark.skipif(
    registries.PROGRAM is None, reason="not installed: docker-registry"
)


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        (b"timeout=3s", 2.5),
        (b"a=b&timeout=10s", 9.5),
        (b"timeout=1m0s", 59.5),
        (b"timeout=1.5s&x", 1.0),
        (b"timeout=300ms", 0.0),
        (b"timeout=0s", 0.0),
        (b"", math.inf),
        (b"timeout=", math.inf),
        (b"timeout=3", math.inf),
        (b"timeout=-3s", math.inf),
        (b"mytimeout=3s", math.inf),
        (b"timeout=" + b"9" * 99 + b"s", math.inf),
    ],
)
def test_timeout_parameter_is_parsed_with_margin(query, seconds):
    assert parse_timeout(query) == seconds


class Choice:
    """Keeps how long it was given."""

    def __init__(self):
        self.seconds = []

    def known(self, decisions):
        return None

    async def choose(self, decisions, seconds):
        self.seconds.append(seconds)
        return list(decisions)


@pytest.mark.anyio
async def test_selector_gets_remaining_time():
    choice = Choice()
    transport = httpx.ASGITransport(Parts(choice=choice).app())
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
        for query in ("?timeout=10s", ""):
            body = review_of("nginx")
            answer = await client.post(f"/mutate{query}", content=body, headers=JSON)
            assert answer.json()["response"]["allowed"]

    assert 5.0 < choice.seconds[0] <= 9.5
    assert choice.seconds[1] > 1e9


class Told:
    def __init__(self):
        self.lines = []
        self.log = Log(lambda line: self.lines.append(json.loads(line)), time.time)
        self.metrics = Metrics("0", lambda: 0.0)
        self.mirror_health = MirrorHealth(self.log, self.metrics, time.monotonic)

    def series(self, name):
        text = self.metrics.render("")[0].decode()
        return [line for line in text.splitlines() if line.startswith(name)]


SETTINGS = Availability(timeout=0.01, budget=0.01)


@pytest.mark.anyio
async def test_checker_survives_reload_with_same_settings():
    told = Told()
    text = CHECKED.format("m.example", "")
    rules = PolicyStore(
        parse_rules(text, "x"),
        log=told.log,
        metrics=told.metrics,
        clock=time.time,
        stopwatch=time.monotonic,
        mirror_health=told.mirror_health,
        readiness=Readiness(),
    )
    first = rules.policies["default"].selector
    rules._use(parse_rules(text + "record: false\n", "x"), "rules reloaded")
    second = rules.policies["default"].selector
    rules._use(parse_rules(CHECKED.format("m.example", ", ttl: 1m"), "x"), "rules reloaded")
    third = rules.policies["default"].selector
    rules._use(parse_rules("profiles: [nju]", "x"), "rules reloaded")

    assert first._checker is second._checker is not third._checker
    assert rules.policies["default"].selector is None
    assert told.mirror_health._checkers == {}


@pytest.mark.anyio
async def test_unused_checker_is_closed_later():
    told = Told()
    told.mirror_health.create_selector(SETTINGS)
    told.mirror_health.close_unused([])
    assert len(told.mirror_health._closing) == 1
    await until(lambda: not told.mirror_health._closing)


def test_results_are_logged_and_counted():
    told = Told()
    told.mirror_health.create_selector(SETTINGS)
    watch = told.mirror_health._observers[SETTINGS]
    watch.on_result("m.example/hub", CheckResult(CheckStatus.ABSENT, seconds=0.02))
    result = CheckResult(CheckStatus.TIMEOUT, "800 ms")
    watch.on_circuit_change("m.example", is_open=True, result=result)
    assert told.series("mirrorhook_registries_down") == ["mirrorhook_registries_down 1.0"]
    watch.on_circuit_change("m.example", is_open=False, result=CheckResult(CheckStatus.PRESENT))
    watch.on_problem("credentials file x: it is not JSON")
    watch.on_error("m.example/a", ValueError("s3cr3t"))

    assert told.series("mirrorhook_registries_down") == ["mirrorhook_registries_down 0.0"]
    assert told.series("mirrorhook_probes_total") == [
        'mirrorhook_probes_total{answer="absent",mirror="m.example/hub"} 1.0'
    ]
    assert told.series("mirrorhook_errors_total") == ["mirrorhook_errors_total 1.0"]
    assert [line["event"] for line in told.lines] == [
        "registry down",
        "registry up",
        "credentials not loaded",
        "image check failed",
    ]
    assert told.lines[0]["reason"] == "m.example does not answer in time (800 ms)"
    assert "s3cr3t" not in json.dumps(told.lines)


@pytest.mark.anyio
async def test_mirrors_of_teams_are_counted_together_and_shown_each(monkeypatch):
    monkeypatch.setattr(mirror_health, "MAX_LATEST", 2)
    told = Told()
    told.mirror_health.limit_targets(["m.example/hub"])
    told.mirror_health.find_team_selector(SETTINGS)
    watch = told.mirror_health._observers[SETTINGS]
    for target in ("m.example/hub", "original", "t.example/a", "t.example/b"):
        watch.on_result(target, CheckResult(CheckStatus.PRESENT))
    counted = {line.partition(",mirror=")[2] for line in told.series("mirrorhook_probes_total")}
    assert counted == {
        '"m.example/hub"} 1.0',
        '"original"} 1.0',
        '"MirrorRules"} 2.0',
    }
    mirrors = map(Mirror, ("m.example/hub", "t.example/a", "t.example/b"))
    states = [told.mirror_health.get_status(SETTINGS, mirror).state for mirror in mirrors]
    assert states == [MirrorState.NOT_YET, MirrorState.ANSWERS, MirrorState.ANSWERS]


def images_in(answer):
    return json.loads(json.loads(answer.content)["response"]["auditAnnotations"]["decisions"])


@needs_registry
def test_webhook_selects_mirror_that_has_image(tmp_path):
    rules = tmp_path / "rules.yaml"
    password = "s3cr3t-p4ss"
    (tmp_path / "config.json").write_bytes(secret(("m.example", "robot", password)))
    with registry(tmp_path) as full, faulty_proxy(full) as proxy:
        push_image(full, "team/app:1")
        dead = unused_port()
        mirrors = f'"{dead}", "{proxy.address}", "{full}"'
        rules.write_text(
            CHECKED.format(
                mirrors,
                f", plainHTTP: [{mirrors}], credentials: [config.json], ttl: 1s, timeout: 2s, "
                "budget: 3s",
            )
        )
        with serving(rules) as webhook:
            (first,) = images_in(webhook.review(review_of("team/app:1")))
            proxy.mode = "hangs"
            for number in range(5):
                webhook.review(review_of(f"team/new{number}:1"), "/mutate?timeout=4s")
            (second,) = images_in(webhook.review(review_of("team/app:1")))
            (third,) = images_in(webhook.review(review_of("team/none:1")))
            down = webhook.metric("mirrorhook_registries_down")
            metrics = webhook.ask("/metrics").text
            rules.write_text(CHECKED.format(f'"{full}"', f', plainHTTP: ["{full}"], timeout: 9s'))
            webhook.wait_for("rules reloaded")
            (fourth,) = images_in(webhook.review(review_of("team/app:1")))
            log, said = json.dumps(webhook.log), "\n".join(webhook.said)

    assert first["result"] == f"{proxy.address}/team/app:1"
    assert f"{dead} cannot be reached (connection refused)" in first["reason"]
    assert second["result"] == f"{full}/team/app:1"
    assert third["outcome"] == "unavailable"
    assert fourth["result"] == f"{full}/team/app:1"
    assert down == 2
    assert f'mirrorhook_probes_total{{answer="timeout",mirror="{proxy.address}"}}' in metrics
    assert "registry down" in log
    for text in (log, said, metrics):
        assert password not in text


@needs_registry
def test_hanging_mirror_does_not_block_shutdown(tmp_path):
    rules = tmp_path / "rules.yaml"
    with faulty_proxy() as proxy:
        proxy.mode = "hangs"
        rules.write_text(CHECKED.format(f'"{proxy.address}"', f', plainHTTP: ["{proxy.address}"]'))
        with serving(rules) as webhook:
            began = time.monotonic()
            answer = webhook.review(review_of("nginx"), "/mutate?timeout=1s")
            assert time.monotonic() - began < 15
            assert answer.json()["response"]["allowed"]

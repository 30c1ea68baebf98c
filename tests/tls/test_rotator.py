"""The loop, over HTTP, at an API server that answers as the real one does."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.kube.fake_api import CONFIGURATIONS, GONE, SECRETS, FakeApi
from tests.tls.memory_cluster import MANAGED, MemoryLog
from tests.tools.waiting import until
from webhook.kube import connect
from webhook.tls.ca_secret import parse_bundle
from webhook.tls.rotation import Rotation
from webhook.tls.rotator import Rotator, RotatorPace, RoundResult

pytestmark = pytest.mark.anyio

SECRET = f"{SECRETS}/{MANAGED.secret_name}"
REGISTRATION = f"{CONFIGURATIONS}/{MANAGED.configuration}"
QUICK = RotatorPace(look=60, pause=0.01, overtaken=0.01, dispute=0.2, retry=0.02, longest_retry=0.1)
ROTATION = Rotation(settle_seconds=0.0)


class Replica:
    """One process's worth of a `Rotator`."""

    def __init__(self, cluster, clock, pace=QUICK):
        self.certificates = []
        self.statuses = []
        self.notes = MemoryLog()
        self._rotator = Rotator(
            MANAGED,
            cluster,
            clock=clock,
            on_certificate=self.certificates.append,
            on_status=self.statuses.append,
            log=self.notes,
            rotation=ROTATION,
            pace=pace,
        )

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self._rotator.run())
        try:
            yield self
        finally:
            assert not task.done() or task.result()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def ready(self):
        return bool(self.statuses) and self.statuses[-1].ready

    @property
    def problems(self):
        return self.statuses[-1].problems if self.statuses else ()


class World:
    def __init__(self, api, folder):
        self.api = api
        self.now = datetime.now(UTC)
        self.folder = folder

    def replica(self, pace=QUICK):
        cluster = connect(self.api.kubeconfig(self.folder))
        return Replica(cluster, lambda: self.now, pace)

    def register(self, *names):
        service = {"name": "mirrorhook", "namespace": "mirrorhook"}
        webhooks = [{"name": name, "clientConfig": {"service": service}} for name in names]
        self.api.put(CONFIGURATIONS, MANAGED.configuration, webhooks=webhooks)

    def bundles(self):
        if REGISTRATION not in self.api.objects:
            return None
        return [
            parse_bundle(base64.b64decode(each["clientConfig"].get("caBundle", "")))
            for each in self.api.objects[REGISTRATION]["webhooks"]
        ]

    def stored(self):
        data = self.api.objects[SECRET]["data"]
        return parse_bundle(base64.b64decode(data["ca.crt"]))


@pytest.fixture
async def world(tmp_path):
    async with FakeApi() as api:
        yield World(api, tmp_path)


async def test_three_replicas_that_start_together_agree_on_one_ca(world):
    world.register("a", "b")
    replicas = [world.replica() for _ in range(3)]
    async with (
        replicas[0].running(),
        replicas[1].running(),
        replicas[2].running(),
    ):
        await until(lambda: all(replica.ready for replica in replicas))
    assert len(world.stored()) == 1
    assert world.bundles() == [world.stored()] * 2
    assert [len(replica.certificates) for replica in replicas] == [1, 1, 1]
    assert [replica.problems for replica in replicas] == [()] * 3


async def test_later_configuration_is_updated_at_once(world):
    async with world.replica().running() as replica:
        await until(lambda: replica.ready)
        world.register("a")
        await until(lambda: world.bundles() == [world.stored()])
        await until(lambda: replica.ready)


async def test_reset_bundle_is_restored_at_once(world):
    world.register("a")
    async with world.replica().running() as replica:
        await until(lambda: replica.ready)
        world.register("a", "b", "c")
        await until(lambda: world.bundles() == [world.stored()] * 3)


async def test_deleted_secret_is_created_again_at_once(world):
    world.register("a")
    async with world.replica().running() as replica:
        await until(lambda: replica.ready)
        world.now += timedelta(days=1)
        first = world.stored()
        world.api.remove(SECRETS, MANAGED.secret_name)
        await until(lambda: len(replica.certificates) == 2)
        assert set(first) < set(world.stored())
        assert world.bundles() == [world.stored()]


async def test_changes_are_found_without_watches(world):
    world.api.denied |= {("watch", "secrets"), ("watch", "mutatingwebhookconfigurations")}
    world.register("a")
    async with world.replica(RotatorPace(look=0.05, pause=0.01)).running() as replica:
        await until(lambda: replica.ready)
        world.register("a")
        await until(lambda: world.bundles() == [world.stored()])
        await until(lambda: len(replica.problems) == 2)
        assert all("cannot watch" in problem for problem in replica.problems)
        assert replica.ready


@pytest.mark.parametrize("event", [GONE, None])
async def test_ended_watches_are_no_problem(world, event):
    world.register("a")
    async with world.replica().running() as replica:
        await until(lambda: replica.ready and world.api.watching == 2)
        world.api.end_watches(event)
        await until(lambda: world.api.watching == 2)
        world.register("a")
        await until(lambda: world.bundles() == [world.stored()])


async def test_rotator_survives_every_kind_of_fault(world):
    world.register("a")
    world.api.faults += ["drop", 500, "html", 429, "half", 503, 401, "drop"]
    async with world.replica().running() as replica:
        await until(lambda: replica.ready)
    assert world.api.faults == []
    assert replica.certificates
    assert replica.notes.events()[-1] == "certificate rotation works again"


async def test_rotator_survives_an_api_server_that_stops_and_restarts(world):
    world.register("a")
    async with world.replica().running() as replica:
        await until(lambda: replica.ready)
        await world.api.down()
        await until(lambda: replica.problems)
        assert replica.ready
        world.now += timedelta(days=5)
        await until(lambda: len(replica.certificates) == 2)
        await world.api.up()
        await until(lambda: not replica.problems)
        assert replica.ready


async def test_replica_waits_for_the_api_server_at_start(world):
    world.register("a")
    replica = world.replica()
    await world.api.down()
    async with replica.running():
        await until(lambda: replica.statuses)
        assert replica.statuses[0].reason == "it has no certificate yet"
        assert "Connection refused" in replica.statuses[0].problems[0]
        await world.api.up()
        await until(lambda: replica.ready)


async def test_missing_permission_is_logged_once_and_its_end_too(world):
    world.register("a")
    world.api.denied.add(("patch", "mutatingwebhookconfigurations"))
    async with world.replica(RotatorPace(look=0.05, pause=0.01)).running() as replica:
        await until(lambda: replica.problems)
        await asyncio.sleep(0.3)
        assert not replica.ready
        world.api.denied.clear()
        await until(lambda: replica.ready)
    (problem,) = [each["problem"] for _, each in replica.notes.lines if "problem" in each]
    assert problem == (
        "cannot patch MutatingWebhookConfiguration mirrorhook: "
        'mutatingwebhookconfigurations.admissionregistration.k8s.io "mirrorhook" is '
        'forbidden: User "system:serviceaccount:mirrorhook:mirrorhook" cannot patch '
        'resource "mutatingwebhookconfigurations" in API group '
        '"admissionregistration.k8s.io" at the cluster scope (HTTP 403)'
    )
    assert ("certificate not ready", {"reason": replica.statuses[0].reason}) in (
        replica.notes.lines
    )
    assert "certificate rotation works again" in replica.notes.events()


async def test_immutable_secret_is_a_problem_and_the_replica_stays_ready(world):
    world.register("a")
    async with world.replica(RotatorPace(look=0.05, pause=0.01)).running() as replica:
        await until(lambda: replica.ready)
        world.api.objects[SECRET]["immutable"] = True
        world.now += timedelta(days=250)
        await until(lambda: replica.problems)
        assert "field is immutable" in replica.problems[0]
        await until(lambda: len(replica.certificates) == 2)
        assert replica.ready


async def test_watches_end_with_the_task(world):
    replica = world.replica()
    async with replica.running():
        await until(lambda: world.api.watching == 2)
    await until(lambda: world.api.watching == 0)


@pytest.mark.parametrize(
    ("outcome", "failures", "expected"),
    [
        (RoundResult(), 0, (0.5, 30.0)),
        (RoundResult(overtaken=True), 0, (0.1, 0.1)),
        (RoundResult(disputed=True), 0, (5.0, 30.0)),
        (RoundResult(unavailable=True), 1, (0.5, 1.0)),
        (RoundResult(unavailable=True), 2, (0.5, 2.0)),
        (RoundResult(unavailable=True), 6, (0.5, 30.0)),
        (RoundResult(unavailable=True), 100_000, (0.5, 30.0)),
    ],
)
def test_pause_between_rounds(outcome, failures, expected):
    assert RotatorPace().get_pause(outcome, failures) == expected

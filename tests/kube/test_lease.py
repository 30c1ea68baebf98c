"""The election, on an API server in memory; tests/cluster has it on a real one."""

from __future__ import annotations

import pytest

from webhook.kube import ConflictError, NotFoundError, UnavailableError
from webhook.kube.lease import HOLD_SECONDS, LEASE_SECONDS, LeaseElection

LEASES = "/apis/coordination.k8s.io/v1/namespaces/mirrorhook/leases"


class World:
    """Attributes:
    lease: The Lease as it is stored.
    now: Monotonic seconds.
    before_write: Called before each write, as another client that is faster would be.
    """

    def __init__(self):
        self.lease = None
        self.now = 1000.0
        self.before_write = lambda: None
        self.failure = None
        self._version = 0

    def call(self, action, method, path, *, body=None):
        if self.failure:
            raise self.failure
        if method == "GET":
            if self.lease is None:
                raise NotFoundError(action)
            return self.lease
        self.before_write()
        version = body["metadata"].get("resourceVersion")
        if version != (self.lease and self.lease["metadata"]["resourceVersion"]):
            raise ConflictError(action)
        assert path == (LEASES if method == "POST" else f"{LEASES}/ours")
        assert method == ("POST" if self.lease is None else method)
        self._version += 1
        spec = body["spec"] if method != "PATCH" else self.lease["spec"] | body["spec"]
        metadata = {"name": "ours", "labels": {"a": "b"}, "resourceVersion": str(self._version)}
        self.lease = {"metadata": metadata, "spec": spec}
        return self.lease

    def join(self, identity):
        return LeaseElection(self, "mirrorhook", "ours", identity, lambda: self.now)


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("existing", [None, {}, {"spec": None}, {"spec": {"holderIdentity": ""}}])
def test_free_lease_is_taken(world, existing):
    if existing is not None:
        world.lease = {"metadata": {"name": "ours", "resourceVersion": "7"}, **existing}
    a = world.join("a")
    assert not a.is_holder
    a.campaign()
    assert a.is_holder
    spec = world.lease["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("a", 1)
    assert spec["leaseDurationSeconds"] == LEASE_SECONDS


def test_holder_renews_the_lease(world):
    a = world.join("a")
    a.campaign()
    first = world.lease["spec"]
    for _ in range(10):
        world.now += HOLD_SECONDS - 1
        assert a.is_holder
        a.campaign()
    last = world.lease["spec"]
    assert last["acquireTime"] == first["acquireTime"]
    assert last["renewTime"] > first["renewTime"]
    assert last["leaseTransitions"] == 1


def test_lease_without_its_times_is_renewed(world):
    a = world.join("a")
    a.campaign()
    world.lease["spec"] = {"holderIdentity": "a"}
    a.campaign()
    assert a.is_holder
    assert world.lease["spec"]["acquireTime"] == world.lease["spec"]["renewTime"]


def test_only_one_replica_holds_the_lease(world):
    replicas = [world.join(name) for name in "abc"]
    for _ in range(20):
        for each in replicas:
            each.campaign()
        assert [each.is_holder for each in replicas] == [True, False, False]
        assert world.lease["spec"]["holderIdentity"] == "a"
        world.now += 8


def test_lease_of_a_replica_that_is_gone_is_taken_when_it_has_ended(world):
    a, b = world.join("a"), world.join("b")
    a.campaign()
    b.campaign()
    world.now += LEASE_SECONDS - 1
    b.campaign()
    assert not a.is_holder
    assert not b.is_holder
    world.now += 1
    b.campaign()
    assert b.is_holder
    assert world.lease["spec"]["leaseTransitions"] == 2
    a.campaign()
    assert not a.is_holder


def test_holder_that_cannot_renew_stops_before_another_may_begin(world):
    a, b = world.join("a"), world.join("b")
    a.campaign()
    b.campaign()
    began = world.now
    while not b.is_holder:
        world.now += 1
        world.failure = UnavailableError("no answer")
        with pytest.raises(UnavailableError):
            a.campaign()
        world.failure = None
        b.campaign()
        assert not (a.is_holder and b.is_holder)
        assert a.is_holder == (world.now - began < HOLD_SECONDS)
    assert world.now - began == LEASE_SECONDS


def test_replica_that_is_overtaken_does_not_hold_the_lease(world):
    a, b = world.join("a"), world.join("b")

    def overtake():
        world.before_write = lambda: None
        b.campaign()

    world.before_write = overtake
    a.campaign()
    assert b.is_holder
    assert not a.is_holder


def test_released_lease_is_taken_at_once(world):
    a, b = world.join("a"), world.join("b")
    a.campaign()
    b.campaign()
    a.release()
    assert not a.is_holder
    b.campaign()
    assert b.is_holder
    a.release()
    assert world.lease["spec"]["holderIdentity"] == "b"


@pytest.mark.parametrize("change", ["deleted", "given away"])
def test_holder_of_a_lease_that_another_has_now_stops_at_once(world, change):
    a, b = world.join("a"), world.join("b")
    a.campaign()
    if change == "deleted":
        world.lease = None
    else:
        world.lease["spec"]["holderIdentity"] = "b"
    b.campaign()
    assert b.is_holder
    a.campaign()
    assert not a.is_holder


def test_labels_of_the_lease_stay(world):
    world.lease = {"metadata": {"name": "ours", "labels": {"a": "b"}, "resourceVersion": "1"}}
    bodies = []
    call = world.call
    world.call = lambda *args, body=None: (bodies.append(body), call(*args, body=body))[1]
    world.join("a").campaign()
    assert bodies[-1]["metadata"]["labels"] == {"a": "b"}

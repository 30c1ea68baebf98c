"""The loop detector skips operators that keep recreating a rewritten Pod, and nothing else."""

from __future__ import annotations

import json
import tracemalloc
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.admission.conftest import RULES, review
from tests.reviews import Results, answer, patch_of
from webhook.admission import LoopDetector, Policy
from webhook.admission.loop_detector import MAX_OWNERS, MAX_PODS
from webhook.core import LoopLimits

CLUSTER = ("postgresql.cnpg.io/v1", "Cluster")
CATALOG = ("operators.coreos.com/v1alpha1", "CatalogSource")
STATEFUL = ("apps/v1", "StatefulSet")
DEFAULT = LoopLimits()
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def owner_of(kind, uid="o-1", *, controller=True):
    group_version, name = kind
    return {
        "apiVersion": group_version,
        "kind": name,
        "name": "pg",
        "uid": uid,
        "controller": controller,
    }


class World:
    """A policy with a loop detector whose clock the test sets."""

    def __init__(self, limits=DEFAULT, **options):
        self.now = 1000.0
        self.owners = []
        self.detector = LoopDetector(limits, lambda: self.now, self)
        decide = RULES.decide
        self.policy = Policy("default", decide, loop_detector=self.detector, **options)

    def record_loop(self, owner):
        self.owners.append(owner)

    def create(
        self,
        *owners,
        images=("nginx",),
        name="pg-1",
        namespace="db",
        client="10.0.0.1",
        **request,
    ):
        """The answer to the creation of a Pod; a name that ends in a dash is a generateName."""
        key = "generateName" if name.endswith("-") else "name"
        containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
        metadata = {key: name, "ownerReferences": list(owners)}
        pod = {"metadata": metadata, "spec": {"containers": containers}}
        body = json.dumps(review(pod, namespace=namespace, **request)).encode()
        return json.loads(answer(body, self.policy, Results(), client=client))["response"]

    def rewrites(self, *owners, **options):
        return bool(patch_of(self.create(*owners, **options)))

    def series(self, times, pace, *owners, **options):
        """Whether each of many creations was rewritten."""
        found = []
        for _ in range(times):
            found.append(self.rewrites(*owners, **options))
            self.now += pace
        return found


@pytest.fixture
def world():
    return World()


def test_loop_detector_skips_an_operator_that_recreates_the_same_pod(world):
    found = world.series(12, 40, owner_of(CLUSTER))
    assert found == [True] * 9 + [False] * 3
    (owner,) = world.owners
    assert (owner.namespace, owner.kind, owner.name, owner.pod) == (
        "db",
        "Cluster",
        "pg",
        "pg-1",
    )


def test_loop_detector_gives_its_reason_in_warning_and_audit_event(world):
    world.series(10, 40, owner_of(CLUSTER))
    response = world.create(owner_of(CLUSTER), images=("nginx", "quay.io/our-team/a"))
    (warning,) = response["warnings"]
    assert "image of c0 unchanged, looping: 'nginx': Cluster pg created this Pod" in warning
    first, second = json.loads(response["auditAnnotations"]["decisions"])
    assert (first["outcome"], second["outcome"]) == ("looping", "kept")
    assert "10 times in 3600s" in first["reason"]
    assert "result" not in first


def test_loop_detector_skips_all_pods_of_that_owner_and_no_others(world):
    world.series(10, 40, owner_of(CLUSTER))
    assert not world.rewrites(owner_of(CLUSTER), name="pg-2")
    assert world.rewrites(owner_of(CLUSTER, "o-2"), name="pg-2")
    assert world.rewrites(name="pg-2")


def test_loop_detector_skips_an_hour_first_and_then_twice_as_long_up_to_a_day(world):
    for hours in (1, 2, 4, 8, 16, 24, 24):
        assert world.series(10, 40, owner_of(CLUSTER)) == [True] * 9 + [False]
        world.now += hours * HOUR - 41
        assert not world.rewrites(owner_of(CLUSTER))
        world.now += MINUTE
    assert len(world.owners) == 7


@pytest.mark.parametrize("name", ["pg-1", "catalog-"])
def test_loop_detector_is_not_changed_by_reviews_from_another_address(world, name):
    owner = owner_of(CATALOG if name.endswith("-") else CLUSTER)
    for _ in range(100):
        world.rewrites(owner, name=name, client="10.9.9.9")
        world.now += 2
    assert not world.rewrites(owner, name=name, client="10.9.9.9")
    assert world.rewrites(owner, name=name)
    assert world.rewrites(owner, name="pg-2")


def test_loop_detector_does_not_count_dry_runs(world):
    dry = {"dryRun": True}
    assert all(world.series(30, 40, owner_of(CLUSTER), **dry))
    world.series(10, 40, owner_of(CLUSTER))
    assert not world.rewrites(owner_of(CLUSTER), **dry)
    assert len(world.owners) == 1


def test_loop_detector_counts_a_reinvocation_once(world):
    for number in range(10):
        first = world.rewrites(owner_of(CLUSTER))
        world.now += 0.01
        images = ("nginx", "docker.io/istio/proxyv2")
        mirrored = ("m.example/hub/library/nginx", images[1]) if first else images
        again = world.rewrites(owner_of(CLUSTER), images=mirrored)
        assert (first, again) == (number < 9, number < 9)
        world.now += 40
    assert len(world.owners) == 1


def test_loop_detector_counts_reviews_of_one_moment_once(world):
    assert all(world.series(20, 0, owner_of(CLUSTER)))


def test_loop_detector_finds_loops_of_unnamed_pods_of_a_catalog_later(world):
    found = world.series(31, 60, owner_of(CATALOG), name="catalog-")
    assert found == [True] * 29 + [False] * 2


def test_loop_detector_keeps_to_its_limits():
    world = World(LoopLimits(3, 600))
    assert world.series(3, 250, owner_of(CLUSTER)) == [True, True, False]
    world = World(LoopLimits(3, 600))
    assert all(world.series(20, 301, owner_of(CLUSTER)))


def deployment():
    for rollout in range(20):
        for _ in range(300):
            owner = owner_of(("apps/v1", "ReplicaSet"), f"rs-{rollout}")
            yield owner, f"web-{rollout}-", 0.02


def rejected_by_a_node():
    for _ in range(500):
        yield owner_of(("apps/v1", "ReplicaSet")), "web-", 3


def daemon_set():
    for number in range(1000):
        yield owner_of(("apps/v1", "DaemonSet")), "agent-", 2 if number % 2 else 40


def cron_job():
    for run in range(1440):
        yield owner_of(("batch/v1", "Job"), f"job-{run}"), f"backup-{run}-", MINUTE


def job_with_retries():
    for _ in range(200):
        yield owner_of(("batch/v1", "Job")), "import-", 12


def job_of_many_pods():
    for _ in range(2000):
        yield owner_of(("batch/v1", "Job")), "index-", 1.5


def replication_controller():
    for _ in range(50):
        yield owner_of(("v1", "ReplicationController")), "old-", 30


def stateful_restarts():
    for _ in range(9):
        for ordinal in range(20):
            yield owner_of(STATEFUL), f"kafka-{ordinal}", 18


def stateful_set_that_is_slow():
    for _ in range(100):
        yield owner_of(STATEFUL), "kafka-0", 7 * MINUTE


def set_that_grows_at_once():
    for _ in range(10):
        for _ in range(50):
            yield owner_of(("ray.io/v1", "RayCluster")), "worker-", 0.1
        yield owner_of(("ray.io/v1", "RayCluster")), "worker-", MINUTE


def pods_of_nobody():
    for _ in range(200):
        yield None, "runner-7-project-12-", 10


def canary():
    for _ in range(200):
        yield None, "canary", MINUTE


def owned_without_a_controller():
    for _ in range(50):
        yield owner_of(CLUSTER, controller=False), "pg-1", 40


@pytest.mark.parametrize(
    "creations",
    [
        deployment,
        rejected_by_a_node,
        daemon_set,
        cron_job,
        job_with_retries,
        job_of_many_pods,
        replication_controller,
        stateful_restarts,
        stateful_set_that_is_slow,
        set_that_grows_at_once,
        pods_of_nobody,
        canary,
        owned_without_a_controller,
    ],
)
def test_loop_detector_ignores_usual_creations(world, creations):
    count = 0
    for owner, name, pause in creations():
        assert world.rewrites(*filter(None, [owner]), name=name), count
        world.now += pause
        count += 1
    assert count >= 50
    assert world.owners == []


def test_loop_detector_ignores_pods_with_new_images(world):
    for number in range(50):
        assert world.rewrites(owner_of(CLUSTER), images=(f"nginx:{number}",))
        world.now += 40


def test_loop_detector_ignores_pods_that_are_not_rewritten(world):
    assert not any(world.series(50, 40, owner_of(CLUSTER), images=("quay.io/our-team/a",)))
    assert world.rewrites(owner_of(CLUSTER))
    observed = World(observe=True)
    observed.series(50, 40, owner_of(CLUSTER))
    assert observed.owners == []


def test_loop_detector_ignores_updates(world):
    old = {"metadata": {"name": "pg-1"}, "spec": {"containers": [{"name": "c0"}]}}
    update = {"operation": "UPDATE", "oldObject": old}
    assert all(world.series(30, 40, owner_of(CLUSTER), **update))


def test_loop_detector_bounds_its_memory_and_keeps_the_latest():
    world = World(LoopLimits(3, DAY))
    for number in range(MAX_PODS + 100):
        world.rewrites(owner_of(CLUSTER, f"o-{number}"), name="p" * 250)
    assert len(world.detector._pods) == MAX_PODS
    for number in range(MAX_OWNERS + 10):
        world.series(3, 2, owner_of(CLUSTER, f"s-{number}"))
    assert len(world.detector._owners) == MAX_OWNERS
    assert not world.rewrites(owner_of(CLUSTER, f"s-{MAX_OWNERS + 9}"))


def test_loop_detector_bounds_its_bytes_with_the_largest_limits():
    times = 100
    detector = LoopDetector(LoopLimits(times, DAY), lambda: 1000.0, World())
    tracemalloc.start()
    try:
        for number in range(MAX_PODS + 10):
            detector._find_creations(number).extend(array("d", range(3 * times)))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 7e6


def test_loop_detector_cuts_long_names(world):
    owner = {**owner_of(CLUSTER), "name": "n" * 10_000}
    world.series(10, 40, owner, name="p" * 10_000)
    (stopped,) = world.owners
    assert len(stopped.name) == len(stopped.pod) == 253
    assert len(stopped.reason) < 500


# A kind, and how it names its Pods: by the API server, at random, or by a number.
CONTROLLERS = {
    "ReplicaSet": (("apps/v1", "ReplicaSet"), "made"),
    "DaemonSet": (("apps/v1", "DaemonSet"), "made"),
    "Job": (("batch/v1", "Job"), "made"),
    "ReplicationController": (("v1", "ReplicationController"), "made"),
    "StatefulSet": (STATEFUL, "numbered"),
    "CloneSet": (("apps.kruise.io/v1alpha1", "CloneSet"), "random"),
    "DaemonSet of Kruise": (("apps.kruise.io/v1alpha1", "DaemonSet"), "made"),
    "StatefulSet of Kruise": (("apps.kruise.io/v1beta1", "StatefulSet"), "numbered"),
    "RayCluster": (("ray.io/v1", "RayCluster"), "made"),
    "TFJob": (("kubeflow.org/v1", "TFJob"), "numbered"),
    "VirtualMachineInstance": (("kubevirt.io/v1", "VirtualMachineInstance"), "made"),
    "CatalogSource": (CATALOG, "made"),
    "Cluster of CloudNativePG": (CLUSTER, "numbered"),
    "unknown": (("example.com/v1", "Unknown"), "made"),
    "unknown, numbered": (("example.com/v1", "Unknown"), "numbered"),
    "unknown, at random": (("example.com/v1", "Unknown"), "random"),
}
NAMES = {"made": "web-", "random": "web-{rollout}x{pod}", "numbered": "web-{pod}"}


@pytest.mark.parametrize("controller", CONTROLLERS)
@settings(max_examples=12, deadline=None)
@given(
    pods=st.integers(1, 60),
    rollouts=st.integers(1, 9),
    pauses=st.lists(st.floats(0, 90), min_size=1, max_size=7),
)
def test_loop_detector_stops_no_rollout(controller, pods, rollouts, pauses):
    kind, naming = CONTROLLERS[controller]
    if kind == CATALOG:
        pods, rollouts = min(pods, 3), min(rollouts, 9)
    world = World()
    for rollout in range(rollouts):
        for pod in range(pods):
            name = NAMES[naming].format(rollout=rollout, pod=pod)
            assert world.rewrites(owner_of(kind), name=name), (rollout, pod)
            world.now += pauses[pod % len(pauses)]
    assert world.owners == []


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from([CLUSTER, STATEFUL, ("example.com/v1", "Unknown")]),
    times=st.integers(3, 30),
    pauses=st.lists(st.floats(1, 110), min_size=1, max_size=7),
    others=st.integers(0, 3),
)
def test_loop_detector_stops_every_loop_of_a_named_pod(kind, times, pauses, others):
    world = World(LoopLimits(times, HOUR))
    for number in range(times):
        for other in range(others):
            assert world.rewrites(owner_of(kind), name=f"other-{number}-{other}")
        is_last = number == times - 1
        assert world.rewrites(owner_of(kind)) is not is_last
        world.now += pauses[number % len(pauses)]
    assert len(world.owners) == 1


@pytest.mark.parametrize(
    "owners",
    [None, "o", {}, [None], ["o"], [{"uid": 1, "controller": "yes"}], [{"controller": 1}]],
)
def test_loop_detector_accepts_owners_of_any_shape(world, owners):
    pod = {
        "metadata": {"name": "a", "ownerReferences": owners},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    }
    for _ in range(20):
        body = json.dumps(review(pod)).encode()
        response = json.loads(answer(body, world.policy, Results()))["response"]
        assert patch_of(response)
        world.now += 40

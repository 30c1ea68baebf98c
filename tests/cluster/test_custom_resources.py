"""ClusterMirrorRules and MirrorRules on a real API server."""

from __future__ import annotations

import random
import signal
import time
from math import inf
from queue import SimpleQueue
from threading import Event, Thread

import httpx
import pytest

from tests.cluster.api import namespaced
from tests.cluster.processes import until
from tests.cluster.release import released
from tests.cluster.resources import DELEGATED, GROUP, Model, Resources, Reviewer, rewrites
from tests.cluster.world import ENABLED, MIRROR, RULES, pod

ENFORCED = {"match": "registry.k8s.io", "mirrors": [f"{MIRROR}/k8s"], "enforced": True}
VALUES = {
    "rules": [*(rule for rule in RULES if rule["match"] != "registry.k8s.io"), ENFORCED],
    "customResources": {"enabled": True},
    # So that a Pod is admitted only after a review.
    "webhook": {"failurePolicy": "Fail"},
    "delegation": {
        "namespaces": {"matchLabels": DELEGATED},
        "mirrors": ["team.example/*", f"{MIRROR}/*"],
    },
}
NOT_WRITTEN = "status of custom resources not written"
ACCEPTED = {"Accepted": "True", "Programmed": "True", "Degraded": "False"}
REFUSED = {"Accepted": "False", "Programmed": "False", "Degraded": "True"}


@pytest.fixture(scope="module")
def crs(plane, world):
    """A release of two replicas that follow custom resources."""
    with released(plane, VALUES, name="mirrorhook-crs", replicas=2) as release:
        yield release
        # While the API server restarts, it refuses some; but none is invalid.
        lines = [line for each in release.replicas for line in each.logged(NOT_WRITTEN)]
        assert [line for line in lines if "(HTTP 422)" in line["problem"]] == []


@pytest.fixture
def resources(world, crs):
    resources = Resources(world)
    yield resources
    resources.delete_all()


@pytest.fixture(scope="module")
def team(world):
    """A namespace that may have rules of its own."""
    return world.namespace(ENABLED | DELEGATED)


def tried_everywhere(crs, world, space, image, expected):
    """Wait until each replica rewrites an image as expected, and Pods have that."""
    for replica in crs.replicas:
        with Reviewer(replica) as reviewer:
            reviewer.wait_for(space, image, expected)
    assert world.tried(space, image) == expected


def find_events(world, space, reason):
    events = world.api.get(f"/apis/events.k8s.io/v1/namespaces/{space}/events")["items"]
    return [each for each in events if each["reason"] == reason]


def without_text(status):
    return {key: each for key, each in status.items() if key not in ("reason", "message")}


def test_objects_of_both_levels_add_to_the_rules_file(world, crs, resources, team, space):
    resources.put("more", rewrites(quay=f"{MIRROR}/platform"))
    resources.put("ours", rewrites(gcr="team.example/gcr"), team)
    tried_everywhere(crs, world, team, "gcr.io/a/b:1", "team.example/gcr/a/b:1")
    tried_everywhere(crs, world, team, "quay.io/a/b:1", f"{MIRROR}/platform/a/b:1")
    tried_everywhere(crs, world, space, "gcr.io/a/b:1", f"{MIRROR}/gcr/a/b:1")
    assert without_text(resources.status("more")) == ACCEPTED
    assert without_text(resources.status("ours", team)) == ACCEPTED
    resources.delete("ours", team)
    tried_everywhere(crs, world, team, "gcr.io/a/b:1", f"{MIRROR}/gcr/a/b:1")


def test_broken_object_changes_nothing_and_says_why(world, crs, resources, team):
    resources.put("ours", rewrites(gcr="team.example/gcr"), team)
    tried_everywhere(crs, world, team, "gcr.io/a/b:1", "team.example/gcr/a/b:1")
    broken = resources.put("ours", rewrites(gcr="elsewhere.example/gcr"), team)
    status = resources.status("ours", team)
    assert without_text(status) == REFUSED
    assert status["reason"] == "MirrorNotAllowed"
    assert "spec.rules[0].mirrors[0]: elsewhere.example/gcr is not allowed" in status["message"]
    tried_everywhere(crs, world, team, "gcr.io/a/b:1", "team.example/gcr/a/b:1")
    (event,) = until(lambda: find_events(world, team, "MirrorNotAllowed"), "the Event", 30)
    assert event["type"] == "Warning"
    assert event["regarding"]["uid"] == broken["metadata"]["uid"]
    assert "elsewhere.example/gcr is not allowed" in event["note"]
    for replica in crs.replicas:
        assert replica.metric('mirrorhook_custom_resources{kind="MirrorRules",state="refused"}')
        (line,) = replica.logged("custom resource refused")
        assert (line["object"], line["generation"]) == (f"MirrorRules {team}/ours", 2)
    resources.put("ours", rewrites(gcr="team.example/other"), team)
    tried_everywhere(crs, world, team, "gcr.io/a/b:1", "team.example/other/a/b:1")
    assert without_text(resources.status("ours", team)) == ACCEPTED


def test_one_replica_writes_each_status_once(world, crs, resources, team):
    before = [count_writes(replica) for replica in crs.replicas]
    for number in range(5):
        resources.put(f"o{number}", {"rules": [rule(f"r{number}.example")]}, team)
    versions = {}
    for number in range(5):
        assert without_text(resources.status(f"o{number}", team)) == ACCEPTED
    path = f"{GROUP}/namespaces/{team}/mirrorrules"
    for each in world.api.get(path)["items"]:
        versions[each["metadata"]["name"]] = each["metadata"]["resourceVersion"]
    time.sleep(1)
    for each in world.api.get(path)["items"]:
        assert versions[each["metadata"]["name"]] == each["metadata"]["resourceVersion"]
    written = [count_writes(r) - b for r, b in zip(crs.replicas, before, strict=True)]
    assert sorted(written) == [0, 5]


def test_other_replica_writes_on_when_the_writer_ends(world, crs, resources, team):
    resources.put("ours", rewrites(gcr="team.example/gcr"), team)
    resources.status("ours", team)
    lease = namespaced("coordination.k8s.io/v1/leases", crs.name, crs.name)
    (writer,) = [each for each in crs.replicas if count_writes(each)]
    holder = world.api.get(lease)["spec"]["holderIdentity"]
    (after,) = crs.run_replicas()
    writer.process.send_signal(signal.SIGTERM)
    assert writer.process.wait(30) == 0
    crs.kill(writer)
    resources.put("ours", rewrites(gcr="team.example/later"), team)
    assert without_text(resources.status("ours", team)) == ACCEPTED
    assert world.api.get(lease)["spec"]["holderIdentity"] != holder
    assert after in crs.replicas


def rule(match, mirror="team.example/x"):
    return {"match": match, "mirrors": [{"target": mirror}]}


def count_writes(replica):
    return replica.metric("mirrorhook_custom_resources_status_writes_total")


@pytest.fixture(scope="module")
def admin(plane, world, team):
    """A client with the permissions of the ClusterRole admin in the namespace of the team."""
    account = {"kind": "ServiceAccount", "name": "admin", "namespace": team}
    world.api.post(namespaced("serviceaccounts", team), {"metadata": {"name": "admin"}})
    binding = {
        "metadata": {"name": "admin"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "admin",
        },
        "subjects": [account],
    }
    world.api.post(namespaced("rbac.authorization.k8s.io/v1/rolebindings", team), binding)
    return plane.as_user(world.api.create_token(team, "admin"))


def list_attempts(team, other, own):
    """Yield what a namespace admin may try outside of MirrorRules of the own namespace."""
    theirs = f"{GROUP}/namespaces/{other}/mirrorrules"
    cluster = own | {"kind": "ClusterMirrorRules"}
    foreign = own | {"metadata": {"name": "tried", "namespace": other}}
    yield "POST", theirs, own, 403
    yield "PUT", f"{theirs}/theirs", own, 403
    yield "DELETE", f"{theirs}/theirs", None, 403
    yield "GET", theirs, None, 403
    yield "POST", f"{GROUP}/clustermirrorrules", cluster, 403
    yield "POST", f"{GROUP}/namespaces/{team}/mirrorrules", foreign, 400
    yield "PUT", f"{GROUP}/namespaces/{team}/mirrorrules/ours/status", own, 403
    yield "PUT", f"/api/v1/namespaces/{team}", {"metadata": {"name": team}}, 403
    yield "GET", namespaced("coordination.k8s.io/v1/leases", "mirrorhook-crs"), None, 403
    yield "GET", namespaced("configmaps", "mirrorhook-crs"), None, 403


# All that is tried in the own namespace, one after another, to lead the images of others astray.
TRICKS = [
    [rule("*")],
    [rule(f"{MIRROR}/k8s"), rule(MIRROR), rule("registry.k8s.io"), rule("*.k8s.io")],
    [{"regex": ".*", "mirrors": [{"target": "team.example/all"}]}],
    [{"regex": "(.*)/(.*)", "mirrors": [{"target": r"\\1/team.example"}]}],
    [rule("registry.k8s.io", f"{MIRROR}/gcr"), rule("gcr.io", f"{MIRROR}/k8s")],
    [{"match": "registry.k8s.io", "keep": True}, {"match": MIRROR, "keep": True}],
    [rule("gcr.io", f"{MIRROR}/quay"), rule(f"{MIRROR}/quay", f"{MIRROR}/gcr")],
    [rule("gcr.io") | {"enforced": True}],
]


def test_namespace_admin_cannot_affect_other_namespaces(crs, world, resources, team, admin):
    other = world.namespace(ENABLED | DELEGATED)
    spaces = [other, world.namespace(ENABLED)]
    resources.put("theirs", rewrites(gcr="team.example/theirs"), other)
    tried_everywhere(crs, world, other, "gcr.io/a/b:1", "team.example/theirs/a/b:1")
    pods = [(space, f"{host}/a/b:1") for space in spaces for host in HOSTS]
    pods += [(team, "registry.k8s.io/a/b:1"), (team, f"{MIRROR}/k8s/a/b:1")]
    before = [world.tried(*each) for each in pods]
    own = {
        "apiVersion": "mirrorhook.io/v1alpha1",
        "kind": "MirrorRules",
        "metadata": {"name": "ours"},
        "spec": {"rules": [rule("quay.io")]},
    }
    path = f"{GROUP}/namespaces/{team}/mirrorrules"
    until(lambda: admin.ask("POST", path, own).status_code in (201, 409), "the role")
    for method, target, body, code in list_attempts(team, other, own):
        answer = admin.ask(method, target, body)
        assert answer.status_code == code, (method, target, answer.text)
    for number, rules in enumerate(TRICKS):
        resources.put("ours", {"rules": rules}, team)
        resources.status("ours", team)
        # What comes after it in the same watch.
        resources.put("last", {"rules": [rule(f"r{number}.example")]}, other)
        tried_everywhere(crs, world, other, f"r{number}.example/a/b", "team.example/x/a/b")
        assert [world.tried(*each) for each in pods] == before, rules
    assert resources.status("ours", team)["reason"] == "NotAllowed"  # enforced


def test_watch_that_expired_is_begun_again(plane, crs, world, resources, team):
    resources.put("ours", rewrites(gcr="team.example/old"), team)
    resources.put("gone", rewrites(quay="team.example/gone"), team)
    tried_everywhere(crs, world, team, "quay.io/a/b:1", "team.example/gone/a/b:1")
    for replica in crs.replicas:
        replica.process.send_signal(signal.SIGSTOP)
    try:
        plane.restart("kube-apiserver")
        resources.delete("gone", team)
        found = resources.put("ours", rewrites(gcr="team.example/new"), team)
        revision = {"revision": int(found["metadata"]["resourceVersion"])}
        store = f"http://{plane.host}:2379/v3/kv/compaction"
        httpx.post(store, json=revision).raise_for_status()
        # Its cache of events begins after the compaction.
        plane.restart("kube-apiserver")
    finally:
        for replica in crs.replicas:
            replica.process.send_signal(signal.SIGCONT)
    tried_everywhere(crs, world, team, "gcr.io/a/b:1", "team.example/new/a/b:1")
    tried_everywhere(crs, world, team, "quay.io/a/b:1", f"{MIRROR}/quay/a/b:1")
    lists = {"resource": "mirrorrules", "verb": "LIST"}
    assert plane.api.metric("apiserver_request_total", **lists) >= len(crs.replicas)


class Load:
    """Creates Pods without end in dry runs, and keeps what it sees."""

    def __init__(self, plane, spaces):
        self.plane = plane
        self.spaces = spaces
        self._seen = SimpleQueue()
        self._ended = Event()
        self._threads = [Thread(target=self._create, args=(number,)) for number in range(2)]

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for each in self._threads:
            each.join()

    def take(self):
        """Return place, outcome, beginning and end of each Pod since the last look."""
        return [self._seen.get() for _ in range(self._seen.qsize())]

    def _create(self, number):
        api = self.plane.as_user(self.plane.tokens["admin"])
        chosen = random.Random(number)
        while not self._ended.is_set():
            space, image = chosen.choice(self.spaces), chosen.choice(HOSTS)
            path = namespaced("pods", space)
            began = time.monotonic()
            try:
                answer = api.ask("POST", path, pod(f"{image}/a/b:1"), dryRun="All")
            except httpx.TransportError:
                continue  # the API server restarts
            if answer.is_success:
                outcome = answer.json()["spec"]["containers"][0]["image"]
                place = space, f"{image}/a/b:1"
                self._seen.put((place, outcome, began, time.monotonic()))


HOSTS = ["gcr.io", "quay.io", "registry.k8s.io", "other.example"]
TARGETS = ["team.example/a", "team.example/b", f"{MIRROR}/c", "elsewhere.example/d"]


def choose_rules(chosen):
    hosts = chosen.sample(HOSTS, chosen.randint(1, 2))
    return {host: chosen.choice(TARGETS) for host in hosts}


def take_step(chosen, resources, model, names):
    """Create, change, break or delete an object, in the cluster and in the model."""
    namespace, name = chosen.choice(names)
    if (namespace, name) in model.objects and chosen.random() < 0.25:
        resources.delete(name, namespace)
        del model.objects[namespace, name]
    else:
        rules, valid = choose_rules(chosen), bool(namespace) or chosen.random() < 0.75
        spec = {"rules": [rule(host, mirror) for host, mirror in rules.items()]}
        put = resources.put(name, spec if valid else spec | {"policy": "missing"}, namespace)
        created = put["metadata"]["creationTimestamp"]
        model.put(namespace, name, created, rules, valid=valid)
    model.settle()


@pytest.mark.parametrize("seed", [1, 2])
def test_rules_are_those_of_the_model_in_every_state(plane, world, crs, resources, seed):
    chosen = random.Random(seed)
    delegated = [world.namespace(ENABLED | DELEGATED) for _ in range(2)]
    spaces = [*delegated, world.namespace(ENABLED)]
    file = {each["match"]: each["mirrors"][0] for each in VALUES["rules"] if "mirrors" in each}
    model = Model(file, {"registry.k8s.io"}, ("team.example", MIRROR), set(delegated))
    names = [(space, name) for space in ("", *spaces) for name in "xy"]
    places = [(space, f"{host}/a/b:1") for space in spaces for host in HOSTS]
    # Each state and when it began, and when the last replica had left the one before.
    states = [({place: model.rewrite(*place) for place in places}, 0.0)]
    settled = [0.0]
    # The objects of earlier tests may be in use still.
    for (space, image), expected in states[0][0].items():
        tried_everywhere(crs, world, space, image, expected)
    with Load(plane, spaces) as load:
        for step in range(10):
            began = time.monotonic()
            take_step(chosen, resources, model, names)
            if step == 5:
                plane.restart("kube-apiserver")
            states.append(({place: model.rewrite(*place) for place in places}, began))
            for (space, image), expected in states[-1][0].items():
                tried_everywhere(crs, world, space, image, expected)
            settled.append(time.monotonic())
            for space, name in model.objects:
                status = resources.status(name, space)
                wanted = ACCEPTED if model.is_accepted(space, name) else REFUSED
                assert without_text(status) == wanted, (space, name, status)
            for place, outcome, sent, answered in load.take():
                # Those that no replica had left when the Pod was sent.
                possible = {
                    outcomes[place]
                    for (outcomes, began), left in zip(states, [*settled[1:], inf], strict=True)
                    if began <= answered and sent <= left
                }
                assert outcome in possible, (step, place, sent, answered)

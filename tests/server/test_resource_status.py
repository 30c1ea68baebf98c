"""Writing the status of custom resources; tests/cluster has it on a real API server."""

from __future__ import annotations

import json
import time
from threading import RLock

import pytest

from tests.server.process import until
from webhook.config import parse_rules
from webhook.kube import ConflictError, ForbiddenError, NotFoundError, UnavailableError
from webhook.resources import build_effective
from webhook.server.resource_status import StatusPace, StatusWriter, watch_object
from webhook.telemetry import Log, Metrics

FAST = StatusPace(campaign=0.01, write=0, retry=0.01)
RULES = parse_rules("delegation: {namespaces: {}, mirrors: [team.example/*]}", "rules.yaml")


class Election:
    """Attributes: is_holder: Whether this replica may write."""

    def __init__(self):
        self.is_holder = True
        self.released = False

    def campaign(self):
        pass

    def release(self):
        self.released = True


class World:
    """The API server in memory, with a writer.

    Attributes:
        objects: The objects by UID, as JSON.
        statuses: The UID of each status that was written.
        events: The Events.
        failures: What happens to the next writes, in order.
        forbidden: The UIDs of objects whose status cannot be written.
    """

    def __init__(self):
        self.objects = {}
        self.statuses = []
        self.events = []
        self.failures = []
        self.forbidden = set()
        self.paths = []
        self.lines = []
        self.effective = None
        self.election = Election()
        self.known = {}
        self._lock = RLock()
        log = Log(lambda line: self.lines.append(json.loads(line)), time.time)
        self.metrics = Metrics("0", lambda: 0.0)
        self.writer = StatusWriter(
            self, self.election, "replica-1", log=log, metrics=self.metrics, pace=FAST
        )

    def put(self, name, mirror="team.example/x", namespace="shop"):
        old = self.objects.get(f"uid-{name}")
        generation = old["metadata"]["generation"] + 1 if old else 1
        metadata = {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        rule = {"match": f"{name}.example", "mirrors": [{"target": mirror}]}
        with self._lock:
            self.objects[f"uid-{name}"] = {
                "kind": "MirrorRules",
                "metadata": metadata,
                "spec": {"rules": [rule]},
                "status": self.objects[f"uid-{name}"]["status"] if old else {},
            }
            self.tell()

    def tell(self):
        """Let the writer see the objects, as the watch does."""
        with self._lock:
            self.known = {
                uid: watch_object(each, self.known.get(uid)) for uid, each in self.objects.items()
            }
            found = [each.resource for each in self.known.values()]
            self.effective = build_effective(RULES, [], found, {"shop": {}}, self.effective)
            self.writer.update([*self.known.values()], self.effective.verdicts)

    def call(self, action, method, path, *, query=None, body=None, content_type=""):
        if self.failures:
            failure = self.failures.pop(0)
            if failure:
                raise failure
        self.paths.append((method, path))
        if method == "POST":
            self.events.append(body)
            return {}
        assert content_type == "application/merge-patch+json"
        uid = body["metadata"]["uid"]
        if uid in self.forbidden:
            raise ForbiddenError(f"cannot {action}: a policy denies it")
        with self._lock:
            if uid not in self.objects:
                raise NotFoundError(action)
            self.objects[uid] = {**self.objects[uid], "status": body["status"]}
            self.statuses.append(uid)
            self.tell()
            return self.objects[uid]

    def conditions(self, name):
        found = self.objects[f"uid-{name}"]["status"].get("conditions", [])
        return {each["type"]: each for each in found}

    def is_current(self, name):
        generation = self.objects[f"uid-{name}"]["metadata"]["generation"]
        accepted = self.conditions(name).get("Accepted", {})
        return accepted.get("observedGeneration") == generation


@pytest.fixture
def world():
    return World()


def test_status_has_three_conditions_of_the_generation(world):
    world.put("a")
    with world.writer:
        until(lambda: world.is_current("a"))
    conditions = world.conditions("a")
    statuses = {kind: each["status"] for kind, each in conditions.items()}
    assert statuses == {"Accepted": "True", "Programmed": "True", "Degraded": "False"}
    for each in conditions.values():
        assert each["observedGeneration"] == 1
        assert each["lastTransitionTime"].endswith("Z")
    path = "/apis/mirrorhook.io/v1alpha1/namespaces/shop/mirrorrules/a/status"
    assert world.paths == [("PATCH", path)]
    assert world.events == []
    assert world.election.released


def test_status_is_written_once_for_each_change(world):
    with world.writer:
        for count in range(1, 4):
            world.put("a", f"team.example/{count}")
            until(lambda: world.is_current("a"))
            world.tell()
            world.put("b", f"team.example/{count}")
            until(lambda: world.is_current("b"))
    assert world.statuses == ["uid-a", "uid-b"] * 3


def test_refusal_and_its_end_are_events(world):
    with world.writer:
        world.put("a")
        until(lambda: world.is_current("a"))
        before = world.conditions("a")["Degraded"]
        world.put("a", "else.example/x")
        until(lambda: world.is_current("a"))
        world.put("a", "team.example/y")
        until(lambda: world.is_current("a"))
    kinds = [(each["type"], each["reason"]) for each in world.events]
    assert kinds == [("Warning", "MirrorNotAllowed"), ("Normal", "Accepted")]
    event = world.events[0]
    assert event["metadata"] == {"generateName": "a-", "namespace": "shop"}
    assert event["regarding"]["uid"] == "uid-a"
    assert event["reportingInstance"] == "replica-1"
    assert "else.example/x is not allowed" in event["note"]
    assert before["status"] == "False"


def test_time_of_a_condition_is_that_of_its_last_change(world):
    with world.writer:
        world.put("a")
        until(lambda: world.is_current("a"))
        old = "2026-01-01T00:00:00Z"
        for each in world.objects["uid-a"]["status"]["conditions"]:
            each["lastTransitionTime"] = old
        world.put("a", "team.example/y")
        until(lambda: world.is_current("a"))
        assert {each["lastTransitionTime"] for each in world.conditions("a").values()} == {old}
        world.put("a", "else.example/x")
        until(lambda: world.is_current("a"))
        assert old not in {each["lastTransitionTime"] for each in world.conditions("a").values()}


def test_replica_without_the_lease_writes_nothing(world):
    world.election.is_holder = False
    world.put("a")
    with world.writer:
        time.sleep(0.1)
        assert world.statuses == []
        world.election.is_holder = True
        until(lambda: world.is_current("a"))
        world.election.is_holder = False
        time.sleep(0.05)
        world.put("b")
        time.sleep(0.1)
    assert world.statuses == ["uid-a"]


def test_problems_are_written_first(world):
    for number in range(5):
        world.put(f"good{number}")
    world.put("zbad", "else.example/x")
    with world.writer:
        until(lambda: len(world.statuses) == 6)
    assert world.statuses[0] == "uid-zbad"


@pytest.mark.parametrize(
    ("failure", "logs"),
    [
        (UnavailableError("no answer"), True),
        (ForbiddenError("you may not"), True),
        (ConflictError("it has another UID"), False),
    ],
)
def test_failure_of_a_write_is_logged_and_tried_again(world, failure, logs):
    world.failures[:] = [failure]
    world.put("a")
    with world.writer:
        until(lambda: not world.failures)
        if not logs:
            world.put("a")  # the watch brings what is new
        until(lambda: world.is_current("a"))
    problems = [each["problem"] for each in world.lines if "problem" in each]
    assert problems == ([str(failure)] if logs else [])


def test_failure_that_lasts_is_logged_once(world):
    world.failures[:] = [ForbiddenError("you may not")] * 3
    world.put("a")
    with world.writer:
        until(lambda: world.is_current("a"))
        world.failures[:] = [ForbiddenError("you may not")]
        world.put("a")
        until(lambda: not world.failures and world.is_current("a"))
    problems = [each["problem"] for each in world.lines if "problem" in each]
    assert problems == ["you may not"] * 2


def test_objects_whose_status_cannot_be_written_hold_up_no_others(world):
    world.failures[:] = [UnavailableError("no answer")] * 7
    world.forbidden = {"uid-a", "uid-b"}
    for name in "abc":
        world.put(name)
    with world.writer:
        until(lambda: world.is_current("c"))
        world.put("d")
        until(lambda: world.is_current("d"))
        world.forbidden.clear()
        until(lambda: world.is_current("a") and world.is_current("b"))


def test_failures_of_several_objects_are_logged_once_each(world):
    world.forbidden = {"uid-a", "uid-b"}
    for name in "abc":
        world.put(name)
    with world.writer:
        for count in range(5):
            world.put("c", f"team.example/{count}")
            until(lambda: world.is_current("c"))
    problems = [each["problem"] for each in world.lines if "problem" in each]
    assert sorted(problems) == [
        f"cannot write the status of MirrorRules shop/{name}: a policy denies it" for name in "ab"
    ]


def test_failure_of_an_object_that_is_gone_is_forgotten(world):
    world.forbidden = {"uid-a"}
    world.put("a")
    with world.writer:
        until(lambda: any("problem" in each for each in world.lines))
        del world.objects["uid-a"]
        world.put("b")
        until(lambda: world.is_current("b"))
    assert world.writer._failed == {}


def test_unexpected_answer_is_logged_and_asked_for_again(world, monkeypatch):
    answers = [TypeError("no metadata")]
    monkeypatch.setattr(world.election, "campaign", lambda: raise_next(answers))
    world.failures[:] = [KeyError("spec")]
    world.put("a")
    with world.writer:
        until(lambda: world.is_current("a"))
    problems = [each["problem"] for each in world.lines if "problem" in each]
    assert problems == [
        "unexpected answer: TypeError('no metadata')",
        "unexpected answer: KeyError('spec')",
    ]


def raise_next(errors):
    if errors:
        raise errors.pop(0)


def test_writer_that_ends_during_a_campaign_releases_the_lease(world, monkeypatch):
    monkeypatch.setattr(world.writer, "_pace", StatusPace(campaign=60))
    monkeypatch.setattr(world.election, "campaign", lambda: time.sleep(0.2))
    with world.writer:
        pass
    assert world.election.released


def test_object_that_is_gone_is_left_alone(world):
    with world.writer:
        world.put("a")
        del world.objects["uid-a"]
        world.put("b")
        until(lambda: world.is_current("b"))

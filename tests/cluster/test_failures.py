"""A webhook that is missing, hangs, is killed, or gets invalid rules."""

from __future__ import annotations

import signal
import time
from threading import Thread

import pytest

from tests.cluster.api import namespaced
from tests.cluster.processes import until
from tests.cluster.release import released
from tests.cluster.world import MIRROR, RULES

NGINX = f"{MIRROR}/hub/library/nginx"
TIMEOUT = 6


@pytest.fixture(scope="module", params=["Ignore", "Fail"])
def policy(request):
    """The failure policy."""
    return request.param


@pytest.fixture(scope="module")
def failing(plane, world, policy):
    """A release with that failure policy, and a namespace that it selects."""
    space = world.namespace()
    values = {
        "rules": RULES,
        "selection": {"mode": "listed", "namespaces": [space]},
        "webhook": {"failurePolicy": policy, "timeoutSeconds": TIMEOUT},
    }
    with released(plane, values, name=f"mirrorhook-{policy.lower()}") as release:
        world.wait_for(space, "nginx", NGINX)
        yield release, space


@pytest.fixture
def replica(world, failing):
    """The Pod of the release, which is replaced if it was killed."""
    release, space = failing
    (replica,) = release.replicas or release.run_replicas()
    world.wait_for(space, "nginx", NGINX)
    return replica


def becomes(found, policy):
    """Return whether a Pod was admitted unchanged or refused, as the failure policy says."""
    if policy == "Ignore":
        return found == "nginx"
    return "failed calling webhook" in found


def test_missing_webhook_causes_no_delay(world, failing, replica, policy):
    release, space = failing
    release.kill(replica)
    until(lambda: not release.proxy.ready, "the end of the endpoint")
    began = time.monotonic()
    assert becomes(world.tried(space, "nginx"), policy)
    assert time.monotonic() - began < TIMEOUT / 2
    release.run_replicas()
    world.wait_for(space, "nginx", NGINX)


def test_hanging_webhook_causes_a_delay_of_its_timeout(world, failing, replica, policy):
    _, space = failing
    replica.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert becomes(world.tried(space, "nginx"), policy)
        assert TIMEOUT * 0.9 < time.monotonic() - began < TIMEOUT + 10
    finally:
        replica.process.send_signal(signal.SIGCONT)
    world.wait_for(space, "nginx", NGINX)


def test_webhook_killed_during_a_request_harms_no_pod(world, failing, replica, policy):
    release, space = failing
    replica.process.send_signal(signal.SIGSTOP)
    found = []
    asking = Thread(target=lambda: found.append(world.tried(space, "nginx")))
    asking.start()
    time.sleep(0.5)
    release.kill(replica)
    asking.join(TIMEOUT + 5)
    assert becomes(found[0], policy)


def test_webhook_is_replaced_without_a_gap(world, failing, replica):
    release, space = failing
    (after,) = release.run_replicas()
    replica.process.send_signal(signal.SIGTERM)
    while replica.process.poll() is None:
        assert world.tried(space, "nginx") == NGINX
    assert replica.process.returncode == 0
    release.kill(replica)
    assert world.tried(space, "nginx") == NGINX
    assert release.replicas == [after]


def test_invalid_rules_change_nothing_until_they_are_fixed(plane, world, failing, replica):
    release, space = failing
    path = namespaced("configmaps", release.name, f"{release.name}-rules")
    good = plane.api.get(path)["data"]
    plane.api.patch(path, {"data": {"rules.yaml": "rules: [{match: docker.io}]\n"}})
    release.bring_rules()
    refused = "rules refused, the old ones stay in use"
    (line,) = until(lambda: replica.logged(refused), "the error")
    assert "neither mirrors nor keep" in str(line["problems"])
    assert world.tried(space, "nginx") == NGINX
    assert replica.ready
    other = good["rules.yaml"].replace(f"{MIRROR}/hub", f"{MIRROR}/other")
    plane.api.patch(path, {"data": {"rules.yaml": other}})
    release.bring_rules()
    world.wait_for(space, "nginx", f"{MIRROR}/other/library/nginx")
    plane.api.patch(path, {"data": good})
    release.bring_rules()
    world.wait_for(space, "nginx", NGINX)
    until(lambda: len(replica.logged("rules reloaded")) == 2, "a line for each reload")

"""Updates of existing Pods."""

from __future__ import annotations

import pytest

from tests.cluster.api import namespaced
from tests.cluster.release import released
from tests.cluster.world import MIRROR, RULES, images, pod

OLDER = pod("nginx:1", "quay.io/other/app", name="older")


def test_change_of_labels_changes_no_image_of_an_older_pod(plane, world):
    space = world.namespace()
    world.create(space, OLDER)
    selection = {"mode": "listed", "namespaces": [space]}
    with released(plane, {"rules": RULES, "selection": selection}, name="mirrorhook-later"):
        world.wait_for(space, "nginx", f"{MIRROR}/hub/library/nginx")
        path = namespaced("pods", space, "older")
        changed = world.api.patch(path, {"metadata": {"labels": {"a": "b"}}})
        assert changed["metadata"]["labels"] == {"a": "b"}
        assert images(changed) == images(OLDER)
        plane.kubectl("annotate", "-n", space, "pod/older", "a=b")
        assert images(world.api.get(path)) == images(OLDER)
        # Only the image that the update changes is rewritten.
        plane.kubectl("set", "image", "-n", space, "pod/older", "c0=nginx:2")
        assert images(world.api.get(path)) == {
            "c0": f"{MIRROR}/hub/library/nginx:2",
            "c1": "quay.io/other/app",
        }


def test_new_image_of_a_container_is_rewritten(world, release, space):
    world.create(space, pod("nginx:1"))
    world.plane.kubectl("set", "image", "-n", space, "pod/web", "c0=gcr.io/a:2")
    assert images(world.api.get(namespaced("pods", space, "web"))) == {"c0": f"{MIRROR}/gcr/a:2"}


def test_ephemeral_container_is_rewritten(world, release, space):
    world.create(space, pod("nginx"))
    command = ("debug", "-n", space, "pod/web", "--image=busybox", "--container=look")
    world.plane.kubectl(*command, "--attach=false", "--", "true")
    command = ("debug", "-n", space, "pod/web", "--image=gcr.io/tools", "--container=again")
    world.plane.kubectl(*command, "--attach=false", "--", "true")
    assert images(world.api.get(namespaced("pods", space, "web"))) == {
        "c0": f"{MIRROR}/hub/library/nginx",
        "look": f"{MIRROR}/hub/library/busybox",
        "again": f"{MIRROR}/gcr/tools",
    }


@pytest.mark.parametrize("subresource", ["status", "binding", "eviction"])
def test_other_subresources_of_a_pod_still_work(world, release, space, subresource):
    world.create(space, pod("nginx"))
    path = namespaced("pods", space, "web")
    if subresource == "status":
        given = {"status": {"message": "seen"}}
        assert world.api.patch(f"{path}/status", given)["status"]["message"] == "seen"
    elif subresource == "binding":
        target = {"kind": "Node", "name": "nowhere"}
        world.api.post(f"{path}/binding", {"metadata": {"name": "web"}, "target": target})
    else:
        kind = {"apiVersion": "policy/v1", "kind": "Eviction"}
        world.api.post(f"{path}/eviction", kind | {"metadata": {"name": "web"}})

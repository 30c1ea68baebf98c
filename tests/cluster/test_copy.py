"""`mirrorhook copy` fills a mirror with the images of a cluster."""

from __future__ import annotations

import json

import pytest

from tests.cluster.world import pod
from tests.copying.programs import EngineMissingError, find_program
from tests.copying.world import World as Copying
from tests.copying.world import manifest_at
from tests.tools import registry as registries
from tests.tools.registry import push_image, registry


def test_copy_copies_the_original_images_of_all_pods(world, tmp_path):
    if registries.PROGRAM is None:
        pytest.skip("not installed: docker-registry")
    try:
        find_program("regctl")
    except EngineMissingError as error:
        pytest.skip(str(error))
    with registry(tmp_path) as upstream, registry(tmp_path) as mirror:
        for name in ("plain", "rewritten"):
            push_image(upstream, f"team/{name}:1", content=name)
        rewritten = pod(f"{mirror}/m/team/rewritten:1", name="rewritten")
        record = json.dumps({"c0": f"{upstream}/team/rewritten:1"})
        rewritten["metadata"]["annotations"] = {"mirrorhook.io/original-images": record}
        world.create(world.namespace(), pod(f"{upstream}/team/plain:1"))
        world.create(world.namespace(), rewritten)
        copying = Copying(tmp_path, upstream, mirror, "regctl")
        kubeconfig = ("--cluster", "--kubeconfig", world.plane.kubeconfig)
        plan = copying.run(*kubeconfig, "--plan", "list").stdout
        done = copying.json(*kubeconfig)
        copied = {each["image"]: each["status"] for each in done if upstream in each["image"]}
        digests = [manifest_at(mirror, f"m/team/{name}", "1")[1] for name in ("plain", "rewritten")]

    assert f"{upstream}/team/rewritten:1 {mirror}/m/team/rewritten:1" in plan.splitlines()
    assert copied == {f"{upstream}/team/{name}:1": "copied" for name in ("plain", "rewritten")}
    assert all(digests)

"""An upgrade from an earlier version and the way back, while Pods are created."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.api import namespaced
from tests.cluster.deployment import VALUES, is_ready
from tests.cluster.namespaces import outside
from tests.cluster.node import REGISTRY, Node
from tests.cluster.own_image import ImageMissingError, export, layout
from tests.cluster.processes import until
from tests.cluster.release import CHART
from tests.cluster.storm import storm
from tests.tools.helm import helm3, helm4
from tests.tools.registry import push_layout

# The chart before the values and the code were simplified.
EARLIER = "0a75028"
NAME = "mirrorhook-upgraded"
NGINX = f"{REGISTRY}/hub/library/nginx"


@dataclass
class Upgraded:
    """A release that is upgraded and rolled back."""

    node: Node
    helm: Path
    values: dict[str, Any]

    def run(self, *arguments: str | Path) -> None:
        self.node.plane.run(
            *(self.helm, *arguments, "--namespace", NAME, "--wait", "--timeout", "300s")
        )

    def upgrade(self, chart: Path, tag: str) -> None:
        file = self.node.folder / "upgrade.json"
        image = {"image": VALUES["image"] | {"tag": tag}}
        file.write_text(json.dumps(VALUES | self.values | image))
        options = ("--create-namespace", "--values", file)
        self.run("upgrade", "--install", NAME, chart, *options)

    @property
    def tags(self) -> list[str]:
        """The tags of the images of its Pods, which are ready and not terminating."""
        found = self.node.plane.api.get(namespaced("pods", NAME))["items"]
        staying = [each for each in found if "deletionTimestamp" not in each["metadata"]]
        assert all(map(is_ready, staying))
        return [each["spec"]["containers"][0]["image"].rpartition(":")[2] for each in staying]


@pytest.fixture(scope="module")
def earlier(node, tmp_path_factory):
    """The chart of the earlier version, whose image is in the registry."""
    try:
        with outside():
            ours = layout(EARLIER)
        sources = export(EARLIER, tmp_path_factory.mktemp("earlier"))
    except ImageMissingError as error:
        pytest.skip(str(error))
    push_layout(REGISTRY, "mirrorhook:earlier", ours)
    return sources / "charts/mirrorhook"


@pytest.mark.parametrize("helm", [helm3, helm4])
def test_upgrade_from_an_earlier_version_and_rollback_lose_no_pod(node, node_world, earlier, helm):
    space = node_world.namespace()
    release = Upgraded(node, helm(), {"selection": {"mode": "listed", "namespaces": [space]}})
    release.upgrade(earlier, "earlier")
    try:
        node_world.wait_for(space, "nginx", NGINX)
        with storm(node_world, space, NGINX):
            release.upgrade(CHART, "test")
            assert release.tags == ["test", "test"]
            release.run("rollback", NAME, "1")
            assert release.tags == ["earlier", "earlier"]
            release.run("rollback", NAME, "2")
            assert release.tags == ["test", "test"]
    finally:
        release.run("uninstall", NAME)
    pods = namespaced("pods", NAME)
    until(lambda: not node.plane.api.get(pods)["items"], "the end of its Pods")

from __future__ import annotations

import os

import pytest

from tests.cluster.control_plane import control_plane
from tests.cluster.deployment import install, uninstall
from tests.cluster.node import REGISTRY, cluster_with_node, prepare
from tests.cluster.own_image import ImageMissingError, layout
from tests.cluster.packages import missing
from tests.cluster.programs import program
from tests.cluster.release import released
from tests.cluster.world import ENABLED, MIRROR, RULES, World
from tests.tools.golang import GoMissingError
from tests.tools.helm import HelmMissingError, helm4
from tests.tools.registry import push_layout


def pytest_collection_modifyitems(items):
    """A node, which enters a namespace of its own, comes last."""
    items.sort(key=lambda item: "node" in item.path.name)


@pytest.fixture(scope="session")
def programs():
    """What the suite cannot do without."""
    if os.geteuid() != 0:
        pytest.skip("a control plane that listens on port 443 needs root")
    try:
        helm4()
        program("kube-apiserver")
    except (GoMissingError, HelmMissingError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def plane(programs):
    """A control plane of the newest Kubernetes."""
    with control_plane() as plane:
        yield plane


@pytest.fixture(scope="session")
def world(plane):
    """What asks that control plane for Pods."""
    return World(plane)


@pytest.fixture(scope="module")
def release(plane, world):
    """A release with the default values and a few rules, that serves."""
    with released(plane, {"rules": RULES}) as release:
        space = world.namespace(ENABLED)
        world.wait_for(space, "nginx", f"{MIRROR}/hub/library/nginx")
        yield release


@pytest.fixture
def space(world):
    """A namespace that has opted in."""
    return world.namespace(ENABLED)


@pytest.fixture(scope="session")
def node(programs):
    """A cluster with a node; what asks for it is in its network from then on."""
    if missing():
        pytest.skip(f"Debian has what a node needs: apt-get install {' '.join(missing())}")
    try:
        prepare()
        ours = layout()
    except (GoMissingError, ImageMissingError) as error:
        pytest.skip(str(error))
    with cluster_with_node() as node:
        push_layout(REGISTRY, "mirrorhook:test", ours)
        yield node


@pytest.fixture(scope="session")
def node_world(node):
    """What asks the cluster with the node: one for all modules, so that no name comes twice."""
    return World(node.plane)


@pytest.fixture(scope="session")
def installed(node):
    """The chart, installed as its users do: Helm waits until both Pods are ready."""
    install(node)
    yield node
    uninstall(node)

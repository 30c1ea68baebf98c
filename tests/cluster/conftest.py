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
    """Run the tests with a node last, because they enter a network namespace."""
    items.sort(key=lambda item: "node" in item.path.name)


@pytest.fixture(scope="session")
def programs():
    """Skip all tests if a required program is missing."""
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
    """Creates Pods in that control plane."""
    return World(plane)


@pytest.fixture(scope="module")
def release(plane, world):
    """A running release with default values and a few rules."""
    with released(plane, {"rules": RULES}) as release:
        space = world.namespace(ENABLED)
        world.wait_for(space, "nginx", f"{MIRROR}/hub/library/nginx")
        yield release


@pytest.fixture
def space(world):
    """A namespace that opted in."""
    return world.namespace(ENABLED)


@pytest.fixture(scope="session")
def node(programs):
    """A cluster with a node. From then on, the test process is in its network namespace."""
    if missing():
        pytest.skip(f"Debian has what a node needs: apt-get install {' '.join(missing())}")
    try:
        prepare()
        ours = layout()
    except (GoMissingError, HelmMissingError, ImageMissingError) as error:
        pytest.skip(str(error))
    with cluster_with_node() as node:
        push_layout(REGISTRY, "mirrorhook:test", ours)
        yield node


@pytest.fixture(scope="session")
def node_world(node):
    """Creates Pods in the cluster with the node. Shared, so that names are unique."""
    return World(node.plane)


@pytest.fixture(scope="session")
def installed(node):
    """The chart, installed by Helm on the cluster with the node."""
    install(node)
    yield node
    uninstall(node)

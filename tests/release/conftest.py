from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.cluster.node import REGISTRY, cluster_with_node, prepare
from tests.cluster.packages import missing
from tests.cluster.programs import COSIGN, program
from tests.copying.programs import EngineMissingError, find_program
from tests.release.building import build_release
from tests.release.sources import read_release
from tests.tools.golang import GoMissingError
from tests.tools.helm import HelmMissingError, helm4
from webhook import __version__

# The registry of the node, so that the chart can be installed from it as it is.
DESTINATION = f"{REGISTRY}/mirrorhook"


def pytest_collection_modifyitems(items):
    """Run the tests with a node last, because they enter a network namespace."""
    items.sort(key=lambda item: "node" in item.path.name)


def build(release, folder):
    for name in ("dist", "work"):
        (folder / name).mkdir()
    return build_release(release, folder / "dist", folder / "work", lambda _: None)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A release."""
    if os.geteuid() != 0 or missing():
        pytest.skip(f"needs root, and from Debian: {' '.join(missing())}")
    try:
        find_program("regctl")
        helm4()
    except (EngineMissingError, HelmMissingError) as error:
        pytest.skip(str(error))
    # What is published must be committed; this never leaves the machine.
    release = replace(read_release(__version__), destination=DESTINATION)
    return build(release, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def again(built, tmp_path_factory):
    """The same release, built again."""
    return build(built.release, tmp_path_factory.mktemp("again"))


@pytest.fixture(scope="session")
def node(built):
    """A cluster with a node. From then on, the test process is in its network namespace."""
    try:
        prepare()
        program("cosign", COSIGN)
    except (GoMissingError, HelmMissingError) as error:
        pytest.skip(str(error))
    with cluster_with_node() as node:
        yield node

from __future__ import annotations

import pytest

from tests.tools import registry as registries
from tests.tools.registry import registry
from tests.transfer.world import World


@pytest.fixture(scope="session")
def upstream(tmp_path_factory):
    if registries.PROGRAM is None:
        pytest.skip("not installed: docker-registry")
    with registry(tmp_path_factory.mktemp("upstream")) as address:
        yield address


@pytest.fixture(scope="session")
def mirror(tmp_path_factory, upstream):
    """One mirror for all tests, each of which has images of its own."""
    with registry(tmp_path_factory.mktemp("mirror")) as address:
        yield address


@pytest.fixture
def world(tmp_path, upstream, mirror):
    return World(tmp_path, upstream, mirror)

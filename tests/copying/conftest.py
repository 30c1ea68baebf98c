from __future__ import annotations

import pytest

from tests.copying.programs import EngineMissingError, find_program
from tests.copying.world import World
from tests.tools import registry as registries
from tests.tools.registry import registry


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


def program(name):
    try:
        return find_program(name)
    except EngineMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["regctl", "skopeo", "crane"])
def engine(request):
    program(request.param)
    return request.param


@pytest.fixture
def world(tmp_path, upstream, mirror, engine):
    """A world for each engine."""
    return World(tmp_path, upstream, mirror, engine)


@pytest.fixture
def regctl_world(tmp_path, upstream, mirror):
    program("regctl")
    return World(tmp_path, upstream, mirror, "regctl")


@pytest.fixture
def skopeo_world(tmp_path, upstream, mirror):
    program("skopeo")
    return World(tmp_path, upstream, mirror, "skopeo")


@pytest.fixture
def skopeo():
    return program("skopeo")


@pytest.fixture
def regsync():
    return program("regsync")

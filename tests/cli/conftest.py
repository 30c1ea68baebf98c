from __future__ import annotations

import pytest

from tests.cli.listing_api import Api
from tests.cli.pull.machine import Machine


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.install("docker")
    return machine


@pytest.fixture
def api(tmp_path):
    served = Api(tmp_path)
    yield served
    served.close()

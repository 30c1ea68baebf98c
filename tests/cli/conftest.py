from __future__ import annotations

import pytest

from tests.cli.pull.machine import Machine


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    machine.install("docker")
    return machine

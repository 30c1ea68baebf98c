from __future__ import annotations

import pytest

from tests.tools.helm import HelmMissingError, helm3, helm4


@pytest.fixture(scope="session", autouse=True)
def helm_of_both_lines():
    """Every test here needs real Helm, of both lines."""
    try:
        return helm3(), helm4()
    except HelmMissingError as error:
        pytest.skip(str(error))

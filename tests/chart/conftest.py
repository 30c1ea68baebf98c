from __future__ import annotations

import pytest

from tests.tools.helm import HelmMissingError, helm3, helm4


@pytest.fixture(scope="session", autouse=True)
def both_helm_versions():
    """Skip all tests of the chart if one of the two Helm versions is missing."""
    try:
        return helm3(), helm4()
    except HelmMissingError as error:
        pytest.skip(str(error))

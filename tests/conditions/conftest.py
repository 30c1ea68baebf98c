from __future__ import annotations

import pytest

from tests.tools.helm import HelmMissingError, helm4


@pytest.fixture(scope="session", autouse=True)
def helm():
    """Return Helm, which renders the conditions from the chart."""
    try:
        return helm4()
    except HelmMissingError as error:
        pytest.skip(str(error))

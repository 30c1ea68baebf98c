from __future__ import annotations

import pytest

from tests.kube.fake_api import FakeApi
from webhook.kube import connect


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def api():
    async with FakeApi() as api:
        yield api


@pytest.fixture
def cluster(api, tmp_path):
    return connect(api.kubeconfig(tmp_path))

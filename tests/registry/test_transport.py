"""Connection pools for the CA files of registries."""

from __future__ import annotations

import httpx
import pytest

from tests.registry.virtual_clock import run
from webhook.registry.proxies import Proxies
from webhook.registry.responses import CheckStatus, RegistryError
from webhook.registry.transport import RegistryTransport


class Pool(httpx.MockTransport):
    """A pool that answers with its number."""

    def __init__(self, number):
        super().__init__(lambda _: httpx.Response(200, text=str(number)))
        self.is_closed = False

    async def aclose(self):
        self.is_closed = True


def test_pool_stays_while_its_new_ca_file_is_wrong(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("right")
    pools = []

    def create(path, _proxy):
        if path and file.read_text() == "wrong":
            raise RegistryError(CheckStatus.UNTRUSTED)
        pools.append(Pool(len(pools)))
        return pools[-1]

    async def main():
        transport = RegistryTransport({"m.example": str(file)}, Proxies(), create)

        async def ask():
            request = httpx.Request("GET", "https://m.example/v2/")
            response = await transport.handle_async_request(request)
            return (await response.aread()).decode()

        assert await ask() == "1"
        file.write_text("wrong")
        for _ in range(5):
            with pytest.raises(RegistryError):
                await ask()
        assert transport._replaced == []
        file.write_text("right again")
        assert await ask() == "2"
        # The one that was replaced last may still be in use.
        assert [pool.is_closed for pool in pools] == [False] * 3

    run(main())

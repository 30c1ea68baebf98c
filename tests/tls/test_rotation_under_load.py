"""Certificates and CAs that are replaced every few seconds, under clients that never stop."""

from __future__ import annotations

import asyncio
import base64
import ssl
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from tests.kube.fake_api import CONFIGURATIONS, FakeApi
from tests.tls.memory_cluster import MANAGED, MemoryLog
from webhook.kube import connect
from webhook.tls import ServingContext
from webhook.tls.ca import create_self_signed
from webhook.tls.rotation import Rotation
from webhook.tls.rotator import Rotator, RotatorPace

pytestmark = pytest.mark.anyio

HOST = "mirrorhook.mirrorhook.svc"
# Certificates begin five minutes before they are made. So two thirds of the life of
# these CAs are over twelve seconds later, and of the certificates at once.
ROTATION = Rotation(
    ca_lifetime=timedelta(seconds=168),
    certificate_lifetime=timedelta(seconds=20),
    overlap=timedelta(seconds=8),
    settle_seconds=2.0,
    prove_seconds=3.0,
)
PACE = RotatorPace(look=0.2, pause=0.05, overtaken=0.02)
LAG = 0.3


class Replica:
    """One process's worth of a webhook: it echoes lines, over TLS."""

    def __init__(self, cluster):
        placeholder, _ = create_self_signed(["nobody"], now=datetime.now(UTC))
        self.serving = ServingContext(placeholder)
        self.certificates = set()
        self.notes = MemoryLog()
        self.ready = asyncio.Event()
        self._cluster = cluster

    async def keep(self):
        rotator = Rotator(
            MANAGED,
            self._cluster,
            clock=lambda: datetime.now(UTC),
            on_certificate=self.use,
            on_status=lambda status: self.ready.set() if status.ready else None,
            log=self.notes,
            rotation=ROTATION,
            pace=PACE,
        )
        await rotator.run()

    def use(self, certificate):
        self.serving.use(certificate)
        self.certificates.add(certificate.fingerprint)

    async def serve(self):
        return await asyncio.start_server(self.echo, "127.0.0.1", 0, ssl=self.serving.context)

    @staticmethod
    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line)
        writer.close()


class ApiServer:
    """A client that trusts what was published a moment ago, as every API server does."""

    def __init__(self, api):
        self._api = api
        self.bundle = ""
        self.answers = 0
        self.stopping = False

    async def follow(self):
        while True:
            (webhook,) = self._api.objects[f"{CONFIGURATIONS}/mirrorhook"]["webhooks"]
            seen = base64.b64decode(webhook["clientConfig"].get("caBundle", "")).decode()
            await asyncio.sleep(LAG)
            self.bundle = seen

    @asynccontextmanager
    async def connection(self, port):
        context = ssl.create_default_context(cadata=self.bundle)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=HOST
        )
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def ask(self, reader, writer):
        writer.write(b"review\n")
        async with asyncio.timeout(60):
            assert await reader.readline() == b"review\n"
        self.answers += 1

    async def connect_again_and_again(self, port):
        while not self.stopping:
            async with self.connection(port) as connection:
                await self.ask(*connection)
            await asyncio.sleep(0.02)

    async def keep_one_connection(self, port):
        async with self.connection(port) as connection:
            while not self.stopping:
                await self.ask(*connection)
                await asyncio.sleep(0.05)


def count(replicas, event):
    return sum(replica.notes.events().count(event) for replica in replicas)


async def rotation(replicas):
    """Wait until CAs have come and gone."""
    async with asyncio.timeout(300):
        while (  # noqa: ASYNC110 - the notes are the replicas' own
            count(replicas, "CA added to the Secret") < 2
            or count(replicas, "CAs of the Secret changed") < 1
        ):
            await asyncio.sleep(0.1)


async def test_rotation_loses_no_request_and_serves_no_untrusted_certificate(tmp_path):
    async with FakeApi() as api, AsyncExitStack() as servers:
        api.put(CONFIGURATIONS, "mirrorhook", webhooks=[{"name": "a", "clientConfig": {}}])
        replicas = [Replica(connect(api.kubeconfig(tmp_path))) for _ in range(2)]
        client = ApiServer(api)
        work = [asyncio.create_task(replica.keep()) for replica in replicas]
        for replica in replicas:
            async with asyncio.timeout(60):
                await replica.ready.wait()
        work.append(asyncio.create_task(client.follow()))
        await asyncio.sleep(2 * LAG)
        asking = []
        for replica in replicas:
            server = await servers.enter_async_context(await replica.serve())
            port = server.sockets[0].getsockname()[1]
            asking.append(asyncio.create_task(client.connect_again_and_again(port)))
            asking.append(asyncio.create_task(client.keep_one_connection(port)))
        end = asyncio.create_task(rotation(replicas))
        await asyncio.wait([*work, *asking, end], return_when=asyncio.FIRST_COMPLETED)
        client.stopping = True
        failures = [each for each in await asyncio.gather(*asking, return_exceptions=True) if each]
        failures += [each.exception() for each in work if each.done()]
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    assert failures == []
    assert end.result() is None
    assert client.answers > 50
    assert all(len(replica.certificates) > 4 for replica in replicas)

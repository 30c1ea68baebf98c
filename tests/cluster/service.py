"""A replacement for kube-proxy: forwards connections to ready Pods in turn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from threading import Thread
from typing import Self

import httpx

__all__ = ["ServiceProxy"]

ROUND = 0.1


class ServiceProxy:
    """Listens on the address of a Service while one of its Pods is ready.

    Otherwise connections are refused, as with kube-proxy.

    Args:
        address: The cluster IP.
        replicas: Returns the addresses of all Pods.
    """

    def __init__(self, address: str, replicas: Callable[[], list[str]]) -> None:
        self.address = address
        self.ready: list[str] = []
        self._replicas = replicas
        self._turn = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._stopping = asyncio.Event()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def drop(self) -> None:
        """Close all connections, so that clients connect again."""
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = None
        # Like the kubelet, each probe has a connection of its own.
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=2, limits=limits) as client:
            while not self._stopping.is_set():
                self.ready = [
                    replica for replica in self._replicas() if await is_ready(client, replica)
                ]
                if self.ready and server is None:
                    server = await asyncio.start_server(self._connect, self.address, 443)
                elif not self.ready and server is not None:
                    server.close()
                    server = None
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), ROUND)
        if server is not None:
            server.close()

    async def _connect(self, reader, writer) -> None:
        self._turn += 1
        try:
            replica = self.ready[self._turn % len(self.ready)]
            there = await asyncio.open_connection(replica, 8443)
        except (OSError, ZeroDivisionError):
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            await asyncio.gather(carry(reader, there[1]), carry(there[0], writer))
        finally:
            self._open.discard(writer)
            for end in (writer, there[1]):
                end.transport.abort()
                with contextlib.suppress(OSError):
                    await end.wait_closed()


async def is_ready(client: httpx.AsyncClient, replica: str) -> bool:
    """Return whether a Pod is ready, by its readiness endpoint."""
    try:
        return (await client.get(f"http://{replica}:8080/readyz")).is_success
    except httpx.TransportError:
        return False


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy data from one connection to the other until it ends."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()

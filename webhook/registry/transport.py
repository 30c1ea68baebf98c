"""Connect to registries: CA files, proxies and connection pools."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from webhook.registry.auth import host_of
from webhook.registry.credentials import normalize_host
from webhook.registry.failures import PROXY
from webhook.registry.responses import CheckStatus, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from webhook.registry.proxies import Proxies

    TransportFactory = Callable[[str, httpx.URL | None], httpx.AsyncBaseTransport]

__all__ = ["RegistryTransport", "create_pool"]

IDLE_CONNECTIONS: Final = 64
IDLE_SECONDS: Final = 30.0


class RegistryTransport(httpx.AsyncBaseTransport):
    """A connection pool for each CA file and proxy, which is made anew when the file changes.

    Args:
        ca_files: Registries, each with its CA file.
        proxies: The proxies.
        create_transport: Makes a connection pool, given the path of a CA file and a proxy.
    """

    def __init__(
        self, ca_files: Mapping[str, str], proxies: Proxies, create_transport: TransportFactory
    ) -> None:
        self._ca_files = {normalize_host(name): path for name, path in ca_files.items()}
        self._proxies = proxies
        self._create_transport = create_transport
        # Created now: to load the CAs of the system takes longer than most requests.
        self._pools: dict[tuple[str, httpx.URL | None], tuple[object, httpx.AsyncBaseTransport]]
        self._pools = {("", None): (None, create_transport("", None))}
        self._replaced: list[httpx.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request through the pool for its host."""
        proxy = self._proxies.find(request.url)
        request.extensions[PROXY] = proxy.variable if proxy else ""
        pool = self._find_pool(host_of(request.url), proxy.url if proxy else None)
        # The pool that was replaced last may still be in use.
        while len(self._replaced) > 1:
            await self._replaced.pop(0).aclose()
        try:
            return await pool.handle_async_request(request)
        except OSError as error:
            # httpcore passes on an alert of TLS that comes after the handshake.
            raise httpx.ReadError("") from error

    def _find_pool(self, host: str, proxy: httpx.URL | None) -> httpx.AsyncBaseTransport:
        path = self._ca_files.get(host, "")
        version = _version_of(path)
        known, pool = self._pools.get((path, proxy), (None, None))
        if pool is None or known != version:
            created = self._create_transport(path, proxy)
            if pool is not None:
                self._replaced.append(pool)
            pool = created
            self._pools[path, proxy] = version, pool
        return pool

    async def aclose(self) -> None:
        """Close every connection."""
        pools = [*self._replaced, *(pool for _, pool in self._pools.values())]
        self._replaced.clear()
        self._pools.clear()
        for pool in pools:
            await pool.aclose()


def create_pool(ca_file: str, proxy: httpx.URL | None) -> httpx.AsyncBaseTransport:
    """Return a connection pool that trusts the CAs of the system and those in a file.

    It has no limit, as the callers limit their requests.

    Args:
        ca_file: The path of the file; empty for none.
        proxy: The proxy to connect through; None for none.
    """
    context = ssl.create_default_context()
    if ca_file:
        try:
            if not Path(ca_file).is_file():
                raise FileNotFoundError  # reading a FIFO may never end
            context.load_verify_locations(ca_file)
        except OSError:  # ssl.SSLError is one
            detail = f"CA file {ca_file} has no certificates"
            raise RegistryError(CheckStatus.UNTRUSTED, detail) from None
    tls = context if proxy and proxy.scheme == "https" else None
    limits = httpx.Limits(
        max_connections=None,
        max_keepalive_connections=IDLE_CONNECTIONS,
        keepalive_expiry=IDLE_SECONDS,
    )
    return httpx.AsyncHTTPTransport(
        verify=context,
        limits=limits,
        proxy=httpx.Proxy(proxy, ssl_context=tls) if proxy else None,
        trust_env=False,
    )


def _version_of(path: str) -> object:
    """Return a value that changes with a CA file; None without one."""
    if not path:
        return None
    try:
        status = Path(path).stat()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        detail = f"CA file {path} cannot be read: {reason}"
        raise RegistryError(CheckStatus.UNTRUSTED, detail) from None
    return status.st_ino, status.st_mtime_ns, status.st_size

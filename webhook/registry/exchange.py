"""HTTP with registries: connections by CA file, bounded bodies, and errors as answers.

Requests go to httpx's transports, past its client: that would keep cookies, and has
ideas of its own on redirects.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from webhook import __version__
from webhook.registry.answers import Answer, Finding
from webhook.registry.bodies import MAX_BODY, TooLargeError, body_of, length_of, whole
from webhook.registry.hosts import known_as
from webhook.registry.places import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from webhook.registry.bodies import Stream

    Transports = Callable[[str], httpx.AsyncBaseTransport]

__all__ = [
    "AuthorityError",
    "Network",
    "connections",
    "told",
]

IDLE_CONNECTIONS: Final = 64
IDLE_SECONDS: Final = 30.0
STEPS: Final = ("connect", "read", "write", "pool")
ALWAYS: Final = {"User-Agent": f"mirrorhook/{__version__}", "Accept-Encoding": "identity"}


class AuthorityError(Exception):
    """A CA file that cannot be used; the message names it."""


def connections(authority: str) -> httpx.AsyncBaseTransport:
    """Return a pool of connections; how many are open at once is bounded by who asks.

    The environment's proxies take no part: they would see what plain HTTP sends.

    Args:
        authority: Path of a CA file to trust besides the system's; empty for none.

    Raises:
        AuthorityError: The file holds no certificates.
    """
    limits = httpx.Limits(
        max_connections=None,
        max_keepalive_connections=IDLE_CONNECTIONS,
        keepalive_expiry=IDLE_SECONDS,
    )
    return httpx.AsyncHTTPTransport(verify=trusting(authority), limits=limits, trust_env=False)


class Network:
    """The way to registries: a pool of connections for each CA file, and one for the rest.

    Args:
        authorities: Registries, each with the path of its CA file.
        transports: Makes a pool, given the path of a CA file.
    """

    def __init__(
        self, authorities: Mapping[str, str], transports: Transports = connections
    ) -> None:
        self._authorities = {known_as(name): path for name, path in authorities.items()}
        self._transports = transports
        # Made at once: to read what the system trusts takes longer than many an answer.
        self._pools: dict[str, tuple[object, httpx.AsyncBaseTransport]] = {"": ("", transports(""))}
        self._replaced: list[httpx.AsyncBaseTransport] = []

    async def send(
        self, method: str, url: httpx.URL, headers: Mapping[str, str]
    ) -> tuple[httpx.Response, bytes]:
        """Send a request; return the answer and its body.

        Raises:
            AuthorityError: The CA file of the host cannot be used.
            TooLargeError: The body is larger than any that is wanted.
            httpx.HTTPError: There is no answer, or it is no HTTP.
        """
        response = await self.open(method, url, headers)
        try:
            return response, await whole(response)
        finally:
            await response.aclose()

    async def open(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        content: bytes | Stream = b"",
        silence: float | None = None,
    ) -> httpx.Response:
        """Send a request; return the answer with its body still to come, to be closed.

        Args:
            method: The method of HTTP.
            url: The address.
            headers: Headers.
            content: The body.
            silence: Seconds that the host may take for each step; None for any time.

        Raises:
            AuthorityError: The CA file of the host cannot be used.
            httpx.HTTPError: There is no answer, or it is no HTTP.
        """
        request = httpx.Request(
            method,
            url,
            headers={**ALWAYS, **headers, **length_of(content)},
            content=body_of(content),
            extensions={"timeout": dict.fromkeys(STEPS, silence)},
        )
        pool = self._pool(host_of(url))
        # The latest of those that were replaced may still be in use.
        while len(self._replaced) > 1:
            await self._replaced.pop(0).aclose()
        return await pool.handle_async_request(request)

    def _pool(self, host: str) -> httpx.AsyncBaseTransport:
        """Return the connections to *host*; new ones if its CA file has changed."""
        path = self._authorities.get(host, "")
        version = version_of(path)
        known, pool = self._pools.get(path, (None, None))
        if pool is None or known != version:
            if pool is not None:
                self._replaced.append(pool)
            pool = self._transports(path)
            self._pools[path] = version, pool
        return pool

    async def close(self) -> None:
        """Close every connection."""
        pools = [*self._replaced, *(pool for _, pool in self._pools.values())]
        self._replaced.clear()
        self._pools.clear()
        for pool in pools:
            await pool.aclose()


def version_of(path: str) -> object:
    """Return what changes when a CA file does.

    Raises:
        AuthorityError: It cannot be read.
    """
    if not path:
        return ""
    try:
        status = Path(path).stat()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise AuthorityError(f"CA file {path} cannot be read: {reason}") from None
    return status.st_ino, status.st_mtime_ns, status.st_size


def trusting(path: str) -> ssl.SSLContext:
    """Return what the system trusts, and besides it the CAs in a file.

    Raises:
        AuthorityError: The file holds none.
    """
    context = ssl.create_default_context()
    if path:
        try:
            context.load_verify_locations(path)
        except OSError:  # which ssl.SSLError is
            raise AuthorityError(f"CA file {path} holds no certificates") from None
    return context


def told(error: Exception) -> Finding:
    """Return what an error of the exchange means.

    The words of the error are not used: they may hold what was sent.
    """
    if isinstance(error, AuthorityError):
        return Finding(Answer.UNTRUSTED, str(error))
    if isinstance(error, TooLargeError):
        return Finding(Answer.PAGE, f"it is larger than {MAX_BODY} bytes")
    if isinstance(error, httpx.TimeoutException):
        return Finding(Answer.TIMEOUT)
    causes = [*chain(error)]
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return Finding(Answer.UNTRUSTED)
    system = [cause for cause in causes if type(cause) in PLAIN_ERRORS]
    if system:
        return Finding(Answer.UNREACHABLE, PLAIN_ERRORS[type(system[0])])
    if isinstance(error, httpx.ConnectError):
        return Finding(Answer.UNREACHABLE, "no connection")
    return Finding(Answer.UNREACHABLE, "the connection broke")


PLAIN_ERRORS: Final[Mapping[type[BaseException], str]] = {
    ConnectionRefusedError: "the connection is refused",
    ConnectionResetError: "the connection was reset",
}


def chain(error: BaseException | None) -> list[BaseException]:
    """Return an error and what led to it, the last first."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found

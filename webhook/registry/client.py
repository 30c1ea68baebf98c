"""Send HTTP requests to registries: CA files, credentials, redirects, and checks for images."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, contextmanager, nullcontext
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from webhook import __version__
from webhook.core.reference import DOCKER_HUB
from webhook.registry.auth import (
    CONTEXT,
    RegistryAuth,
    RequestContext,
    check_destination,
    host_of,
    is_allowed_url,
    is_internal_address,
)
from webhook.registry.credentials import HUB_HOST, CredentialStore, normalize_host
from webhook.registry.responses import (
    MEDIA_TYPES,
    CheckResult,
    CheckStatus,
    RegistryError,
    find_config_digest,
    find_missing_platforms,
    interpret_response,
    list_platforms,
    read_body,
)

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Iterator,
        Mapping,
    )

    from webhook.core import Availability, ImageReference

    TransportFactory = Callable[[str], httpx.AsyncBaseTransport]

__all__ = ["RegistryClient", "create_client"]

DEFAULT_TAG: Final = "latest"
ACCEPT: Final = {"Accept": ", ".join(MEDIA_TYPES)}
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS: Final = 5
# Manifests and configurations of real images have some KB, few over 100: registries have to
# accept 4 MiB, but decoding that takes 100 MiB.
MAX_DOCUMENT: Final = 1024 * 1024
# How many documents are read at once that are larger, or that don't say how large they are.
# With the limit of requests for each registry this bounds the memory that bodies take.
SMALL_DOCUMENT: Final = 64 * 1024
MAX_LARGE_DOCUMENTS: Final = 4
INVALID_ADDRESS: Final = "its address is invalid or without TLS"
IDLE_CONNECTIONS: Final = 64
IDLE_SECONDS: Final = 30.0
HEADERS: Final = {
    "User-Agent": f"mirrorhook/{__version__}",
    "Accept-Encoding": "identity",
}
# Only what these errors say is the same on every system.
CAUSES: Final[Mapping[type[BaseException], str]] = {
    ConnectionRefusedError: "connection refused",
    ConnectionResetError: "connection reset",
}


class RegistryClient:
    """Sends requests to registries, each with the credentials for its host alone.

    Args:
        settings: Timeout, platforms, CA files, and registries without TLS.
        credentials: The credentials.
        clock: Monotonic time in seconds.
        create_transport: Makes a connection pool, given the path of a CA file.
    """

    def __init__(
        self,
        settings: Availability,
        credentials: CredentialStore,
        clock: Callable[[], float],
        create_transport: TransportFactory,
    ) -> None:
        self._settings = settings
        self._plain_http = frozenset(map(normalize_host, settings.plain_http))
        self._large_documents = {
            is_named: asyncio.Semaphore(MAX_LARGE_DOCUMENTS) for is_named in (True, False)
        }
        self._client = httpx.AsyncClient(
            transport=_CAFileTransport(dict(settings.ca_files), create_transport),
            auth=RegistryAuth(credentials, self._plain_http, clock),
            headers=HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            event_hooks={"response": [_resolve_location]},
        )

    async def check_image(self, reference: ImageReference, *, is_named: bool = True) -> CheckResult:
        """Return whether the registry of *reference* has it; every failure is a result too.

        The manifest is asked for by HEAD, which Docker Hub does not count as a pull, unless
        platforms are wanted.

        Args:
            reference: The image.
            is_named: Whether a rule names the registry; otherwise the author of a Pod did.
        """
        return await self._limit_time(self._check_image(reference, is_named=is_named))

    async def check_registry(self, registry: str) -> CheckResult:
        """Return what a registry answers to a request for no image (`distribution`_, end-1).

        .. _distribution: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
        """
        return await self._limit_time(self._check_registry(registry))

    async def _limit_time(self, check: Awaitable[CheckResult]) -> CheckResult:
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await check
        except TimeoutError:
            milliseconds = round(self._settings.timeout * 1000)
            return CheckResult(CheckStatus.TIMEOUT, f"{milliseconds} ms")
        except RegistryError as error:
            return error.result

    async def _check_registry(self, registry: str) -> CheckResult:
        with _translate_errors():
            request = self._client.build_request("GET", self._base_url(registry))
            response = await self._client.send(request, auth=None, stream=True)
            await response.aclose()
        return interpret_response(response.status_code, {})

    async def _check_image(self, reference: ImageReference, *, is_named: bool) -> CheckResult:
        platforms = self._settings.platforms
        path = f"manifests/{reference.digest or reference.tag or DEFAULT_TAG}"
        method = "GET" if platforms else "HEAD"
        response = await self._fetch(method, reference, path, is_named=is_named)
        wanted = reference.digest or ""
        result = interpret_response(response.status_code, response.headers, wanted)
        if not platforms or not result.is_present:
            return result
        config = find_config_digest(response.content)
        if config is None:
            detail = "it is neither a manifest nor an index"
            return CheckResult(CheckStatus.PAGE, detail)
        if config:
            path = f"blobs/{config}"
            response = await self._fetch("GET", reference, path, is_named=is_named)
            if response.status_code != httpx.codes.OK:
                detail = f"its configuration is not there: HTTP {response.status_code}"
                return CheckResult(CheckStatus.ABSENT, detail)
        missing = find_missing_platforms(platforms, list_platforms(response.content))
        if missing:
            return CheckResult(CheckStatus.PLATFORM, f"not for {', '.join(map(str, missing))}")
        return result

    async def get_manifest(self, reference: ImageReference) -> tuple[CheckResult, bytes]:
        """Return whether the registry of *reference* has it, and its manifest if it does."""
        manifest = b""

        async def fetch() -> CheckResult:
            nonlocal manifest
            path = f"manifests/{reference.digest or reference.tag or DEFAULT_TAG}"
            response = await self._fetch("GET", reference, path, is_named=True)
            manifest = response.content
            wanted = reference.digest or ""
            return interpret_response(response.status_code, response.headers, wanted)

        return await self._limit_time(fetch()), manifest

    async def _fetch(
        self, method: str, reference: ImageReference, path: str, *, is_named: bool
    ) -> httpx.Response:
        async with self._open(method, reference, path, is_named=is_named) as response:
            length = response.headers.get("Content-Length", "")
            is_small = method == "HEAD" or (length.isdecimal() and int(length) <= SMALL_DOCUMENT)
            async with nullcontext() if is_small else self._large_documents[is_named]:
                await read_body(response, MAX_DOCUMENT)
        return response

    @asynccontextmanager
    async def _open(
        self, method: str, reference: ImageReference, path: str, *, is_named: bool
    ) -> AsyncIterator[httpx.Response]:
        """Send a request; yield its response, after redirects, with the body unread.

        Args:
            method: GET or HEAD.
            reference: An image of the repository.
            path: A path below the repository.
            is_named: Whether a rule names the registry; otherwise the author of a Pod did.

        Raises:
            RegistryError: There is no usable response, or its body breaks off.
        """
        host = normalize_host(reference.registry)
        context = RequestContext(host, reference.repository, is_named)
        with _translate_errors():
            request = self._client.build_request(
                method,
                f"{self._base_url(reference.registry)}{reference.repository}/{path}",
                headers=ACCEPT,
                timeout=None,
                extensions={CONTEXT: context},
            )
            for _ in range(MAX_REDIRECTS + 1):
                response = await self._client.send(request, stream=True)
                following = response.next_request
                try:
                    if response.status_code not in REDIRECTS:
                        yield response
                        return
                    await read_body(response, SMALL_DOCUMENT)
                finally:
                    await response.aclose()
                if following is None or not is_allowed_url(following.url, self._plain_http):
                    raise RegistryError(CheckStatus.MISDIRECTED, INVALID_ADDRESS)
                # One that has an internal address is the operator's: it has a trusted
                # certificate, or is in the list of registries without TLS.
                if not is_internal_address(response.url.host):
                    await check_destination(following.url, context)
                request = following
        raise RegistryError(CheckStatus.MISDIRECTED, f"after {MAX_REDIRECTS} others")

    def _base_url(self, registry: str) -> str:
        scheme = "http" if normalize_host(registry) in self._plain_http else "https"
        host = HUB_HOST if registry == DOCKER_HUB else registry
        return f"{scheme}://{host}/v2/"

    async def close(self) -> None:
        """Close every connection; requests that are open fail."""
        await self._client.aclose()


async def _resolve_location(response: httpx.Response) -> None:
    """Make the target of a redirect absolute, or drop it: httpx fails with some that are not."""
    if response.has_redirect_location:
        try:
            url = response.url.join(response.headers["Location"])
        except httpx.InvalidURL:
            url = httpx.URL()
        if url.host:
            response.headers["Location"] = str(url)
        else:
            del response.headers["Location"]


def create_client(
    settings: Availability,
    clock: Callable[[], float],
    report: Callable[[str], None],
    create_transport: TransportFactory | None = None,
) -> RegistryClient:
    """Return a client that reads the credentials files of some settings.

    Args:
        settings: How registries are used.
        clock: Monotonic time in seconds.
        report: Is called with a sentence when a credentials file cannot be used.
        create_transport: Makes a connection pool, given the path of a CA file.
    """
    credentials = CredentialStore(
        settings.credentials,
        read=lambda path: Path(path).read_bytes(),
        clock=clock,
        report=report,
    )
    return RegistryClient(settings, credentials, clock, create_transport or _create_pool)


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise RegistryError for httpx's errors, whose own words may hold what was sent."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _translate(error) from None


def _translate(error: Exception) -> RegistryError:
    if isinstance(error, httpx.TimeoutException):
        return RegistryError(CheckStatus.TIMEOUT)
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes):
        return RegistryError(CheckStatus.UNTRUSTED)
    for each in causes:
        if type(each) in CAUSES:
            return RegistryError(CheckStatus.UNREACHABLE, CAUSES[type(each)])
    is_connected = not isinstance(error, httpx.ConnectError)
    detail = "the connection was interrupted" if is_connected else "no connection"
    return RegistryError(CheckStatus.UNREACHABLE, detail)


class _CAFileTransport(httpx.AsyncBaseTransport):
    """A connection pool for each CA file, which is made anew when the file changes."""

    def __init__(self, ca_files: Mapping[str, str], create_transport: TransportFactory) -> None:
        self._ca_files = {normalize_host(name): path for name, path in ca_files.items()}
        self._create_transport = create_transport
        # Created now: to load the CAs of the system takes longer than most requests.
        self._pools: dict[str, tuple[object, httpx.AsyncBaseTransport]] = {
            "": (None, create_transport(""))
        }
        self._replaced: list[httpx.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pool = self._find_pool(host_of(request.url))
        # The pool that was replaced last may still be in use.
        while len(self._replaced) > 1:
            await self._replaced.pop(0).aclose()
        return await pool.handle_async_request(request)

    def _find_pool(self, host: str) -> httpx.AsyncBaseTransport:
        path = self._ca_files.get(host, "")
        version = _version_of(path)
        known, pool = self._pools.get(path, (None, None))
        if pool is None or known != version:
            if pool is not None:
                self._replaced.append(pool)
            pool = self._create_transport(path)
            self._pools[path] = version, pool
        return pool

    async def aclose(self) -> None:
        pools = [*self._replaced, *(pool for _, pool in self._pools.values())]
        self._replaced.clear()
        self._pools.clear()
        for pool in pools:
            await pool.aclose()


def _create_pool(ca_file: str) -> httpx.AsyncBaseTransport:
    """Return a connection pool that trusts the CAs of the system and those in a file.

    It has no limit, as the callers limit their requests. Proxies of the environment are
    not used: they would see what plain HTTP sends.
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
    limits = httpx.Limits(
        max_connections=None,
        max_keepalive_connections=IDLE_CONNECTIONS,
        keepalive_expiry=IDLE_SECONDS,
    )
    return httpx.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False)


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

"""Send HTTP requests to registries: redirects, limits, and checks for images."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import httpx

from webhook import __version__
from webhook.core.reference import DOCKER_HUB
from webhook.registry.auth import (
    CONTEXT,
    RegistryAuth,
    RequestContext,
    check_destination,
    is_allowed_url,
    is_internal_address,
)
from webhook.registry.credential_helpers import CredentialHelpers, HelperError, run_helper
from webhook.registry.credentials import (
    HUB_HOST,
    CredentialStore,
    HelperLogin,
    normalize_host,
)
from webhook.registry.failures import PROXY, explain_failure
from webhook.registry.proxies import Proxies, read_proxies
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
from webhook.registry.transport import RegistryTransport, create_pool

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Iterator,
    )

    from webhook.core import Availability, ImageReference
    from webhook.registry.transport import TransportFactory

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
HEADERS: Final = {
    "User-Agent": f"mirrorhook/{__version__}",
    "Accept-Encoding": "identity",
}


class RegistryClient:
    """Sends requests to registries, each with the credentials for its host alone.

    Args:
        settings: Timeout, platforms, CA files, and registries without TLS.
        credentials: The credentials.
        helpers: The programs that know others.
        proxies: The proxies.
        clock: Monotonic time in seconds.
        create_transport: Makes a connection pool, given the path of a CA file and a proxy.
    """

    def __init__(
        self,
        settings: Availability,
        credentials: CredentialStore,
        helpers: CredentialHelpers,
        proxies: Proxies,
        clock: Callable[[], float],
        create_transport: TransportFactory,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._helpers = helpers
        self._proxies = proxies
        self._plain_http = frozenset(map(normalize_host, settings.plain_http))
        self._large_documents = {
            is_named: asyncio.Semaphore(MAX_LARGE_DOCUMENTS) for is_named in (True, False)
        }
        self._client = httpx.AsyncClient(
            transport=RegistryTransport(dict(settings.ca_files), proxies, create_transport),
            auth=RegistryAuth(credentials, helpers, proxies, self._plain_http, clock),
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
        await self._wait_for_helper(reference, is_named=is_named)
        return await self._limit_time(self._check_image(reference, is_named=is_named))

    async def check_registry(self, registry: str) -> CheckResult:
        """Return what a registry answers to a request for no image (`distribution`_, end-1).

        .. _distribution: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
        """
        return await self._limit_time(self._check_registry(registry))

    async def _wait_for_helper(self, reference: ImageReference, *, is_named: bool) -> None:
        """Let a helper answer before the time of a check begins, if there is time for that."""
        seconds = self._settings.helper_seconds
        if not seconds:
            return
        host, repository = reference.registry, reference.repository
        login = self._credentials.find(host, repository, is_named=is_named)
        if isinstance(login, HelperLogin):
            with suppress(HelperError):  # the check says so, if it needs the login
                await self._helpers.get(login, seconds)

    async def _limit_time(self, check: Awaitable[CheckResult]) -> CheckResult:
        try:
            # Cancelled by asyncio, httpcore would lose connections, which nobody closes then.
            with anyio.fail_after(self._settings.timeout):
                return await check
        except TimeoutError:
            milliseconds = round(self._settings.timeout * 1000)
            return CheckResult(CheckStatus.TIMEOUT, f"{milliseconds} ms")
        except RegistryError as error:
            return error.result

    async def _check_registry(self, registry: str) -> CheckResult:
        with _translate_errors(normalize_host(registry)):
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

        await self._wait_for_helper(reference, is_named=True)
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
        with _translate_errors(host):
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
                        _check_sender(response)
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
                    await check_destination(following.url, context, self._proxies)
                request = following
        raise RegistryError(CheckStatus.MISDIRECTED, f"after {MAX_REDIRECTS} others")

    def _base_url(self, registry: str) -> str:
        scheme = "http" if normalize_host(registry) in self._plain_http else "https"
        host = HUB_HOST if registry == DOCKER_HUB else registry
        return f"{scheme}://{host}/v2/"

    async def close(self) -> None:
        """Close every connection; requests that are open fail."""
        await self._helpers.close()
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


def _check_sender(response: httpx.Response) -> None:
    """Raise RegistryError for a response that is not about the image.

    It may come from a proxy, or from a server that has TLS and complains of plain HTTP.
    """
    url, proxy = response.request.url, response.request.extensions.get(PROXY)
    if response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED and proxy:
        detail = f"the proxy of {proxy}: HTTP {response.status_code}"
        raise RegistryError(CheckStatus.UNREACHABLE, detail)
    if response.status_code == httpx.codes.BAD_REQUEST and url.scheme == "http":
        name = url.netloc.decode("ascii", "replace")
        detail = f"HTTP 400: if it has TLS, remove {name} from plainHTTP"
        raise RegistryError(CheckStatus.UNEXPECTED, detail)


def create_client(
    settings: Availability,
    clock: Callable[[], float],
    report: Callable[[str], None],
    create_transport: TransportFactory = create_pool,
) -> RegistryClient:
    """Return a client that uses the files, the programs and the environment that settings name.

    Args:
        settings: How registries are used.
        clock: Monotonic time in seconds.
        report: Is called with a sentence when a credentials file cannot be used.
        create_transport: Makes a connection pool, given the path of a CA file and a proxy.
    """
    credentials = CredentialStore(
        settings.credentials,
        read=lambda path: Path(path).read_bytes(),
        clock=clock,
        report=report,
    )
    # A check has to have time left for the registry.
    helpers = CredentialHelpers(clock, time.time, run_helper, settings.timeout / 2)
    proxies = read_proxies(os.environ) if settings.use_proxies else Proxies()
    return RegistryClient(settings, credentials, helpers, proxies, clock, create_transport)


@contextmanager
def _translate_errors(host: str) -> Iterator[None]:
    """Raise RegistryError for httpx's errors.

    Args:
        host: The registry that was asked.
    """
    try:
        yield
    except httpx.InvalidURL:
        raise RegistryError(CheckStatus.UNREACHABLE, "its address is not valid") from None
    except httpx.HTTPError as error:
        raise explain_failure(error, host) from None

"""Authenticate to registries with the token protocol of the distribution project (`token`_).

.. _token: https://distribution.github.io/distribution/spec/auth/token/
.. _RFC 9110: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from webhook.registry.cache import ENTRY_BYTES, BoundedCache
from webhook.registry.credential_helpers import HelperError
from webhook.registry.credentials import HelperLogin, normalize_host
from webhook.registry.responses import (
    CheckStatus,
    RegistryError,
    interpret_response,
    parse_object,
    read_body,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence

    from webhook.registry.credential_helpers import CredentialHelpers
    from webhook.registry.credentials import Credential, CredentialStore
    from webhook.registry.proxies import Proxies

__all__ = [
    "CONTEXT",
    "Challenge",
    "RegistryAuth",
    "RequestContext",
    "check_destination",
    "host_of",
    "is_allowed_url",
    "is_internal_address",
    "parse_challenges",
    "select_challenge",
]

# The extension of a request that holds its context.
CONTEXT: Final = "mirrorhook.context"

TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the token of RFC 9110
QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
PARAMETER: Final = re.compile(rf"({TOKEN})\s*=\s*({TOKEN}|{QUOTED})[\s,]*")
SCHEME: Final = re.compile(rf"[\s,]*({TOKEN})(?:\s+|$|(?=,))[\s,]*")
ESCAPE: Final = re.compile(r"\\(.)")
# A longer header is an attack on the parser.
MAX_HEADER: Final = 8192
# The characters that a header can hold (RFC 6750).
BEARER_TOKEN: Final = re.compile(r"[\w.~+/-]+=*", re.ASCII)

DEFAULT_SECONDS: Final = 60.0
MAX_SECONDS: Final = 3600
# A token that expires on its way is refused.
MARGIN: Final = 5
# Tokens of Azure take 2 KB; most servers refuse a request with more than 16 KiB of headers.
MAX_TOKEN: Final = 16 * 1024
# Some hundred repositories whose tokens take 2 KB each: a token is valid for minutes.
MAX_TOKEN_BYTES: Final = 2 * 1024 * 1024
# The body that comes with a challenge is for people, and a token response is small.
MAX_BODY: Final = 64 * 1024
PORTS: Final = {"http": 80, "https": 443}
CLIENT: Final = "mirrorhook"
NO_PASSWORD: Final = "it takes a password, but only a token is configured"  # noqa: S105 - a sentence
NO_CREDENTIALS: Final = "no credentials are configured for it"
# A token server answers so for a wrong password, and for a repository that it keeps secret:
# neither shows anything about the image.
REFUSALS: Final = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What was asked for, wherever redirects lead.

    Attributes:
        host: The normalized name of the registry.
        repository: The repository.
        is_named: Whether a rule names the registry; otherwise the author of a Pod did.
    """

    host: str
    repository: str
    is_named: bool = True


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate that a response offers.

    Attributes:
        scheme: ``bearer``, ``basic`` …, in lower case.
        realm: For ``bearer`` the URL that gives tokens.
        service: The registry's own name.
        scope: What the token has to allow; empty if the registry does not say.
    """

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


class RegistryAuth(httpx.Auth):
    """Answer the challenges of registries, and cache the answers until they expire.

    Each request has its context in the extension `CONTEXT`. A credential is sent to the
    registry that was asked, and to the token server which that registry names; it is not used
    at the target of a redirect, even if it is for that host.

    Args:
        credentials: The credentials.
        helpers: The programs that know others.
        proxies: The proxies.
        plain_http: Registries that are used without TLS, by normalized name.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        credentials: CredentialStore,
        helpers: CredentialHelpers,
        proxies: Proxies,
        plain_http: frozenset[str],
        clock: Callable[[], float],
    ) -> None:
        self._credentials = credentials
        self._helpers = helpers
        self._proxies = proxies
        self._plain_http = plain_http
        self._clock = clock
        self._tokens: BoundedCache[tuple[object, ...], tuple[str, float]]
        self._tokens = BoundedCache(MAX_TOKEN_BYTES)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send a request, and again if its response is a challenge that can be answered.

        Raises:
            RegistryError: It cannot be answered, or the token server refuses.
        """
        context: RequestContext = request.extensions[CONTEXT]
        login = None
        if host_of(request.url) == context.host:
            login = self._credentials.find(
                context.host, context.repository, is_named=context.is_named
            )
        key = (*_origin(request.url), context.repository, login)
        # After a redirect it may be what another host was sent.
        request.headers.pop("Authorization", None)
        authorization, expiry = self._tokens.get(key) or ("", 0.0)
        if self._clock() < expiry:
            request.headers["Authorization"] = authorization
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        self._tokens.pop(key)
        await read_body(response, MAX_BODY)
        challenge = select_challenge(
            parse_challenges(response.headers.get_list("WWW-Authenticate"))
        )
        if challenge is None:
            raise RegistryError(CheckStatus.UNAUTHORIZED, "by an unknown scheme")
        credential, problem = await self._open_login(login)
        if credential is not None and credential.registry_token:
            authorization, seconds = _to_bearer(credential.registry_token), DEFAULT_SECONDS
        elif challenge.scheme == "bearer":
            token_request = self._token_request(request, challenge, credential)
            await check_destination(token_request.url, context, self._proxies)
            response = yield token_request
            if response.status_code in REFUSALS:
                raise self._refuse("its token server", response.status_code, login, problem)
            authorization, seconds = await _read_token(response)
        elif credential is None or not credential.user:
            raise RegistryError(CheckStatus.UNAUTHORIZED, problem or NO_PASSWORD)
        else:
            authorization, seconds = credential.authorization, DEFAULT_SECONDS
        expiry = self._clock() + seconds - MARGIN
        size = ENTRY_BYTES + len(authorization) + len(context.repository)
        self._tokens.put(key, (authorization, expiry), size)
        request.headers["Authorization"] = authorization
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._tokens.pop(key)
            raise self._refuse("it", response.status_code, login, problem)

    async def _open_login(
        self, login: Credential | HelperLogin | None
    ) -> tuple[Credential | None, str]:
        """Return a credential, or why there is none."""
        credential, problem = None, NO_CREDENTIALS
        if isinstance(login, HelperLogin):
            try:
                credential = await self._helpers.get(login)
                problem = f"its credential helper {login.program} has no login for it"
            except HelperError as error:
                problem = str(error)
        else:
            credential = login
        return credential, "" if credential else problem

    def _refuse(
        self, subject: str, code: int, login: Credential | HelperLogin | None, problem: str
    ) -> RegistryError:
        """Return the error for a login that is refused, or for the lack of one."""
        if isinstance(login, HelperLogin):
            self._helpers.forget(login)
        detail = problem or f"{subject} refuses the configured credentials: HTTP {code}"
        return RegistryError(CheckStatus.UNAUTHORIZED, detail)

    def _token_request(
        self, request: httpx.Request, challenge: Challenge, credential: Credential | None
    ) -> httpx.Request:
        try:
            realm = httpx.URL(challenge.realm)
        except httpx.InvalidURL:
            realm = httpx.URL()
        if not is_allowed_url(realm, self._plain_http):
            detail = "the URL of its token server is invalid or without TLS"
            raise RegistryError(CheckStatus.UNAUTHORIZED, detail)
        default = f"repository:{request.extensions[CONTEXT].repository}:pull"
        query = {"scope": challenge.scope or default}
        if challenge.service:
            query["service"] = challenge.service
        headers = {name: request.headers[name] for name in ("User-Agent", "Accept-Encoding")}
        # The token protocol sends the password to any realm that the registry names.
        # Without TLS somebody else may have named it: then only the same host gets it.
        is_trusted = request.url.scheme == realm.scheme == "https"
        is_trusted |= _origin(request.url) == _origin(realm)
        extensions = {CONTEXT: request.extensions[CONTEXT]}
        if credential is not None and is_trusted:
            if credential.refresh_token:
                form = {"grant_type": "refresh_token", "client_id": CLIENT}
                form |= {"refresh_token": credential.refresh_token, **query}
                return httpx.Request(
                    "POST", realm, data=form, headers=headers, extensions=extensions
                )
            headers["Authorization"] = credential.authorization
        url = realm.copy_merge_params(query)
        return httpx.Request("GET", url, headers=headers, extensions=extensions)


def _to_bearer(token: object) -> str:
    """Return the header for a token.

    Raises:
        RegistryError: A header cannot hold it.
    """
    if not isinstance(token, str) or len(token) > MAX_TOKEN or not BEARER_TOKEN.fullmatch(token):
        raise RegistryError(CheckStatus.UNAUTHORIZED, "its token server sends no valid token")
    return f"Bearer {token}"


async def _read_token(response: httpx.Response) -> tuple[str, float]:
    """Return the header for the token in a response, and how many seconds it is valid."""
    if response.status_code != httpx.codes.OK:
        result = interpret_response(response.status_code, {})
        if result.status in (CheckStatus.LIMITED, CheckStatus.FAILED):
            raise RegistryError(result.status, result.detail)
        detail = f"its token server answers HTTP {response.status_code}"
        raise RegistryError(CheckStatus.UNAUTHORIZED, detail)
    value = parse_object(await read_body(response, MAX_BODY))
    authorization = _to_bearer(value.get("token") or value.get("access_token"))
    seconds = value.get("expires_in")
    if not isinstance(seconds, int | float) or seconds <= 0:
        seconds = DEFAULT_SECONDS
    return authorization, min(seconds, MAX_SECONDS)


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Return the challenges in ``WWW-Authenticate`` headers (`RFC 9110`_).

    Reading ends at an error of syntax.
    """
    return [
        challenge
        for header in headers
        if len(header) <= MAX_HEADER
        for challenge in _challenges_in(header)
    ]


def _challenges_in(header: str) -> Iterator[Challenge]:
    position = 0
    while scheme := SCHEME.match(header, position):
        position = scheme.end()
        parameters: dict[str, str] = {}
        while parameter := PARAMETER.match(header, position):
            name, value = parameter.groups()
            if value.startswith('"'):
                value = ESCAPE.sub(r"\1", value[1:-1])
            parameters.setdefault(name.lower(), value)
            position = parameter.end()
        names = ("realm", "service", "scope")
        yield Challenge(scheme[1].lower(), *(parameters.get(name, "") for name in names))


def select_challenge(challenges: Iterable[Challenge]) -> Challenge | None:
    """Return the challenge to answer: Bearer before Basic; None if there is neither."""
    by_scheme = {challenge.scheme: challenge for challenge in reversed([*challenges])}
    return by_scheme.get("bearer") or by_scheme.get("basic")


def is_allowed_url(url: httpx.URL, plain_http: frozenset[str]) -> bool:
    """Return whether *url* may be requested: over TLS, or at a registry in *plain_http*."""
    if not url.host or url.userinfo:
        return False
    return url.scheme == "https" or (url.scheme == "http" and host_of(url) in plain_http)


async def check_destination(url: httpx.URL, context: RequestContext, proxies: Proxies) -> None:
    """Check where a redirect or a challenge of a registry leads.

    A registry that rules name may lead anywhere. One that the author of a Pod names may not
    make the webhook send requests into the internal network: it may lead to its own host,
    or to hosts that have public addresses only.

    Raises:
        RegistryError: It leads to an internal host, or to one that is not known.
    """
    if context.is_named or host_of(url) == context.host:
        return
    try:
        addresses = await resolve(url.host)
    except (OSError, UnicodeError):
        if proxies.find(url):
            return  # the proxy knows the name, not we
        detail = "it leads to a host that is not known"
        raise RegistryError(CheckStatus.UNREACHABLE, detail) from None
    if any(map(is_internal_address, addresses)):
        detail = "it leads to an internal host, and no rule names it"
        raise RegistryError(CheckStatus.UNEXPECTED, detail)


def is_internal_address(host: str) -> bool:
    """Return whether a host is an IP address that is not public; False for a name."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


async def resolve(host: str) -> Sequence[str]:
    """Return the IP addresses of a host, which may be an address itself, in any notation.

    Raises:
        OSError: It has none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]).partition("%")[0] for *_, address in found]


def host_of(url: httpx.URL) -> str:
    """Return the normalized name of the registry at *url*."""
    return normalize_host(url.netloc.decode("ascii", "replace"))


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or PORTS.get(url.scheme)

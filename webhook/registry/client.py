"""Requests to registries, behind their redirects and logins."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx

from webhook.registry.answers import Answer, Finding
from webhook.registry.bodies import TooLargeError, parts, whole
from webhook.registry.challenge import parse_challenges
from webhook.registry.exchange import AuthorityError, told
from webhook.registry.login import Login, LoginError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from webhook.core import ImageReference
    from webhook.registry.bodies import Stream
    from webhook.registry.exchange import Network
    from webhook.registry.places import Places

__all__ = ["EXCHANGE_ERRORS", "Call", "Client", "Opened", "Reply", "explained"]

UNAUTHORIZED: Final = 401
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# After the others a request with a body would become one without (RFC 9110).
KEEPING_REDIRECTS: Final = frozenset({307, 308})
READING: Final = frozenset({"GET", "HEAD"})
MAX_REDIRECTS: Final = 5


class MisdirectionError(Exception):
    """A redirect that cannot be followed; the message says why."""


EXCHANGE_ERRORS: Final = (
    LoginError,
    MisdirectionError,
    httpx.HTTPError,
    httpx.InvalidURL,
    AuthorityError,
    TooLargeError,
)


def explained(error: Exception) -> Finding:
    """Return what an error among EXCHANGE_ERRORS means."""
    if isinstance(error, LoginError):
        return error.finding
    if isinstance(error, MisdirectionError):
        return Finding(Answer.MISDIRECTED, str(error))
    return told(error)


@dataclass(frozen=True, slots=True)
class Call:
    """A request for something of a repository.

    Attributes:
        method: The method of HTTP.
        reference: An image of the repository.
        to: A path below the repository, or an address that an answer has given.
        headers: Headers.
        query: Parameters to be added to the address.
        content: The body.
        also: Another repository of the registry that has to be read for it.
        silence: Seconds that a host may take for each step; None for any time.
    """

    method: str
    reference: ImageReference
    to: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    content: bytes | Stream = b""
    also: str = ""
    silence: float | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer with its body still to come.

    Attributes:
        status: The status of HTTP.
        headers: Headers, of which case does not matter.
        parts: The body, as it comes.
    """

    status: int
    headers: Mapping[str, str]
    parts: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        status: The status of HTTP.
        headers: Headers, of which case does not matter.
        body: The body.
        location: The address in the header ``Location``; empty without one.
        following: The address of the next page, in the header ``Link``; empty without one.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    location: str
    following: str


class Client:
    """Sends requests to registries; each host is logged in to with what is its own alone.

    Args:
        network: Sends requests.
        places: Knows where registries are.
        login: Answers challenges on the same network.
    """

    def __init__(self, network: Network, places: Places, login: Login) -> None:
        self._network = network
        self._places = places
        self._login = login

    async def fetch(self, call: Call) -> Reply:
        """Return the answer to a request, with its whole body.

        Raises:
            Exception: One of EXCHANGE_ERRORS.
        """
        async with self._opened(call) as (url, response):
            body = await whole(response)
        location = response.headers.get("Location", "")
        following = response.links.get("next", {}).get("url", "")
        return Reply(
            response.status_code,
            response.headers,
            body,
            str(url.join(location)) if location else "",
            str(url.join(following)) if following else "",
        )

    @asynccontextmanager
    async def open(self, call: Call) -> AsyncIterator[Opened]:
        """Give the answer to a request, whose body is read within the block.

        Raises:
            Exception: One of EXCHANGE_ERRORS.
        """
        async with self._opened(call) as (_, response):
            yield Opened(response.status_code, response.headers, parts(response))

    async def close(self) -> None:
        """Close every connection."""
        await self._network.close()

    @asynccontextmanager
    async def _opened(self, call: Call) -> AsyncIterator[tuple[httpx.URL, httpx.Response]]:
        """Give the address that answered in the end, and its answer."""
        url = self._address(call)
        followed = REDIRECTS if call.method in READING else KEEPING_REDIRECTS
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._logged_in(call, url)
            try:
                if response.status_code not in followed:
                    yield url, response
                    return
                await whole(response)
            finally:
                await response.aclose()
            url = self._led_to(url, response.headers.get("Location", ""))
        raise MisdirectionError(f"more than {MAX_REDIRECTS} times")

    def _address(self, call: Call) -> httpx.URL:
        if "://" not in call.to:
            return self._places.below(call.reference, call.to).copy_merge_params(call.query)
        return self._allowed(httpx.URL(call.to)).copy_merge_params(call.query)

    def _led_to(self, url: httpx.URL, location: str) -> httpx.URL:
        try:
            url = url.join(location)
        except httpx.InvalidURL:
            raise MisdirectionError("to no address") from None
        return self._allowed(url)

    def _allowed(self, url: httpx.URL) -> httpx.URL:
        if not self._places.may_be_gone_to(url):
            raise MisdirectionError("to an address without TLS, or to none")
        return url

    async def _logged_in(self, call: Call, url: httpx.URL) -> httpx.Response:
        """Return the answer of one host, after its challenge if it has one."""
        repository = call.reference.repository
        authorization = self._login.known(url, repository, call.also)
        response = await self._sent(call, url, authorization)
        if response.status_code != UNAUTHORIZED:
            return response
        try:
            await whole(response)
        finally:
            await response.aclose()
        challenges = parse_challenges(response.headers.get_list("WWW-Authenticate"))
        authorization = await self._login.answered(url, repository, challenges, call.also)
        return await self._sent(call, url, authorization)

    async def _sent(self, call: Call, url: httpx.URL, authorization: str) -> httpx.Response:
        headers = {**call.headers}
        if authorization:
            headers["Authorization"] = authorization
        return await self._network.open(call.method, url, headers, call.content, call.silence)

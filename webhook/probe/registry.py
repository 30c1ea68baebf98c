"""
Asking a registry whether it has an image.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import httpx

from webhook.probe.answers import Answer, Finding, Presence
from webhook.probe.challenge import parse_challenges
from webhook.probe.exchange import AuthorityError, TooLargeError, told
from webhook.probe.login import Login, LoginError
from webhook.probe.manifests import ACCEPT, config_of, covered, interpreted, missing
from webhook.probe.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.core import Availability, ImageReference
    from webhook.probe.exchange import Network
    from webhook.probe.login import Keyring

__all__ = ["Registries"]

UNAUTHORIZED: Final = 401
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS: Final = 5


class Misdirection(Exception):  # noqa: N818 - it is no error of ours
    """
    A redirect that cannot be followed; the message says why.
    """


class Registries:
    """
    Questions for manifests, over the network.

    A manifest is asked for by HEAD, which Docker Hub does not count as a pull; only
    where platforms are wanted it is fetched.

    Args:
        settings: How to ask.
        network: Sends requests.
        keyring: Knows credentials.
        clock: Gives seconds that only grow.
    """

    def __init__(
        self,
        settings: Availability,
        network: Network,
        keyring: Keyring,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._network = network
        self._places = Places(settings.plain_http)
        self._login = Login(network, keyring, self._places, clock)

    async def ask(self, reference: ImageReference) -> Finding:
        """
        Return whether the registry of *reference* has it.

        Whatever goes wrong on the way is an answer as well.
        """
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await self._asked(reference)
        except TimeoutError:
            milliseconds = round(self._settings.timeout * 1000)
            return Finding(Answer.TIMEOUT, f"{milliseconds} ms")
        except LoginError as error:
            return error.finding
        except Misdirection as error:
            return Finding(Answer.MISDIRECTED, str(error))
        except (httpx.HTTPError, httpx.InvalidURL, AuthorityError, TooLargeError) as error:
            return told(error)

    async def _asked(self, reference: ImageReference) -> Finding:
        platforms = self._settings.platforms
        url = self._places.manifest(reference)
        response, body = await self._fetched(url, reference, whole=bool(platforms))
        finding = interpreted(
            response.status_code,
            response.headers.get("Content-Type", ""),
            response.headers.get("Docker-Content-Digest", ""),
            reference.digest or "",
        )
        if not platforms or finding.presence is not Presence.PRESENT:
            return finding
        config = config_of(body)
        if config is None:
            return Finding(Answer.PAGE, "it is neither a manifest nor an index")
        if config:
            blob = self._places.blob(reference, config)
            answer, body = await self._fetched(blob, reference, whole=True)
            if answer.status_code != httpx.codes.OK:
                detail = f"its configuration is not there: HTTP {answer.status_code}"
                return Finding(Answer.ABSENT, detail)
        lacking = missing(platforms, covered(body))
        if lacking:
            return Finding(Answer.PLATFORM, f"not for {', '.join(map(str, lacking))}")
        return finding

    async def _fetched(
        self, url: httpx.URL, reference: ImageReference, *, whole: bool
    ) -> tuple[httpx.Response, bytes]:
        """
        Return the answer to a request, behind redirects and logins.

        Each host is logged in to with what belongs to it alone.

        Args:
            url: What to ask for.
            reference: The image that it is for.
            whole: Fetch it; otherwise ask for its head.
        """
        for _ in range(MAX_REDIRECTS + 1):
            response, body = await self._logged_in(url, reference.repository, whole=whole)
            if response.status_code not in REDIRECTS:
                return response, body
            try:
                url = url.join(response.headers.get("Location", ""))
            except httpx.InvalidURL:
                raise Misdirection("to no address") from None
            if not self._places.may_be_gone_to(url):
                raise Misdirection("to an address without TLS, or to none")
        raise Misdirection(f"more than {MAX_REDIRECTS} times")

    async def _logged_in(
        self, url: httpx.URL, repository: str, *, whole: bool
    ) -> tuple[httpx.Response, bytes]:
        """
        Return the answer of one host, after its challenge if it has one.
        """
        authorization = self._login.known(url, repository)
        response, body = await self._sent(url, authorization, whole=whole)
        if response.status_code != UNAUTHORIZED:
            return response, body
        challenges = parse_challenges(response.headers.get_list("WWW-Authenticate"))
        authorization = await self._login.answered(url, repository, challenges)
        return await self._sent(url, authorization, whole=whole)

    async def _sent(
        self, url: httpx.URL, authorization: str, *, whole: bool
    ) -> tuple[httpx.Response, bytes]:
        headers = {"Accept": ACCEPT}
        if authorization:
            headers["Authorization"] = authorization
        return await self._network.send("GET" if whole else "HEAD", url, headers)

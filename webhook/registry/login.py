"""Logging in to registries: the token protocol of the distribution project (`token`_).

.. _token: https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

import httpx

from webhook.registry.answers import Answer, Finding
from webhook.registry.challenge import BEARER, preferred
from webhook.registry.manifests import interpreted, read
from webhook.registry.places import host_of, origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from webhook.registry.challenge import Challenge
    from webhook.registry.credentials import Credential
    from webhook.registry.exchange import Network
    from webhook.registry.places import Places

__all__ = ["Keyring", "Login", "LoginError"]

# What can stand in a header; anything else is no token (RFC 6750).
USABLE: Final = re.compile(r"[\w.~+/-]+=*", re.ASCII)
DEFAULT_SECONDS: Final = 60
MAX_SECONDS: Final = 3600
# A token that ends while it is on its way is refused.
MARGIN: Final = 5
MAX_KNOWN: Final = 1024
OK: Final = 200


class Keyring(Protocol):
    """Who knows the credentials for registries."""

    def for_(self, host: str, repository: str) -> Credential | None:
        """Return the credential for a repository at *host*, if there is one."""


class LoginError(Exception):
    """A login that did not succeed.

    Args:
        finding: What it means for the question that it was needed for.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.reason)
        self.finding = finding


class Login:
    """Answers challenges, and remembers the answers for as long as they hold.

    Args:
        network: Sends requests.
        keyring: Knows credentials.
        places: Says where they may go.
        clock: Gives seconds that only grow.
    """

    def __init__(
        self,
        network: Network,
        keyring: Keyring,
        places: Places,
        clock: Callable[[], float],
    ) -> None:
        self._network = network
        self._keyring = keyring
        self._places = places
        self._clock = clock
        self._known: OrderedDict[tuple[object, ...], tuple[str, float]] = OrderedDict()

    def known(self, url: httpx.URL, repository: str, also: str = "") -> str:
        """Return the value of ``Authorization`` that holds for *url*; empty if none does."""
        value, end = self._known.get(self._key(url, repository, also), ("", 0.0))
        return value if self._clock() < end else ""

    def _key(self, url: httpx.URL, repository: str, also: str) -> tuple[object, ...]:
        credential = self._keyring.for_(host_of(url), repository)
        return (*origin(url), repository, also, credential)

    async def answered(
        self,
        url: httpx.URL,
        repository: str,
        challenges: Iterable[Challenge],
        also: str = "",
    ) -> str:
        """Return the value of ``Authorization`` that answers a challenge.

        Args:
            url: What was asked for; its host is the one that the credential is for.
            repository: The repository that is to be read, or written if the challenge
                says so.
            challenges: Those of the host of *url*.
            also: Another repository there that is to be read with it; empty for none.

        Raises:
            LoginError: There is nothing to answer it with, or it is refused.
        """
        challenge = preferred(challenges)
        credential = self._keyring.for_(host_of(url), repository)
        key = self._key(url, repository, also)
        self._known.pop(key, None)
        if challenge is None:
            detail = "in no way that is known here"
            raise LoginError(Finding(Answer.UNAUTHORIZED, detail))
        if challenge.scheme == BEARER:
            scopes = [challenge.scope or f"repository:{repository}:pull"]
            scopes += [f"repository:{also}:pull"] if also else []
            value, seconds = await self._token(url, scopes, challenge, credential)
        elif credential is None:
            detail = "and no credentials for it are given"
            raise LoginError(Finding(Answer.UNAUTHORIZED, detail))
        else:
            value, seconds = credential.basic, DEFAULT_SECONDS
        self._known[key] = value, self._clock() + seconds - MARGIN
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return value

    async def _token(
        self,
        url: httpx.URL,
        scopes: list[str],
        challenge: Challenge,
        credential: Credential | None,
    ) -> tuple[str, float]:
        """Fetch a token; return the header's value, and for how many seconds it holds."""
        try:
            realm = httpx.URL(challenge.realm)
        except httpx.InvalidURL:
            realm = httpx.URL("")
        if not self._places.may_be_gone_to(realm):
            detail = "with a realm that cannot be gone to"
            raise LoginError(Finding(Answer.UNAUTHORIZED, detail))
        query = {"scope": scopes}
        if challenge.service:
            query["service"] = [challenge.service]
        headers = {}
        if credential is not None and self._places.is_told_passwords(realm, url):
            headers["Authorization"] = credential.basic
        realm = realm.copy_merge_params(query)
        response, body = await self._network.send("GET", realm, headers)
        if response.status_code != OK:
            raise LoginError(refused(response.status_code))
        return token_in(body)


def refused(status: int) -> Finding:
    """Return what it means that no token was given.

    A realm says 401 or 403 for a login that it does not take, and for a repository
    that it will not tell of: nothing is known of the image then.
    """
    finding = interpreted(status, "", "", "")
    if finding.answer in (Answer.LIMITED, Answer.FAILED):
        return finding
    return Finding(Answer.UNAUTHORIZED, f"its realm gives no token: HTTP {status}")


def token_in(body: bytes) -> tuple[str, float]:
    """Read the answer of a realm: the header's value, and for how many seconds it holds.

    Raises:
        LoginError: It holds no token.
    """
    value = read(body)
    token = value.get("token") or value.get("access_token")
    if not isinstance(token, str) or not USABLE.fullmatch(token):
        raise LoginError(Finding(Answer.UNAUTHORIZED, "its realm gives no usable token"))
    seconds = value.get("expires_in")
    if not isinstance(seconds, int | float) or seconds <= 0:
        seconds = DEFAULT_SECONDS
    return f"Bearer {token}", min(seconds, MAX_SECONDS)

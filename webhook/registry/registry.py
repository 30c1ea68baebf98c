"""Asking a registry whether it has an image."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from webhook.registry.answers import Answer, Finding, Presence
from webhook.registry.client import EXCHANGE_ERRORS, Call, explained
from webhook.registry.manifests import ACCEPT, config_of, covered, interpreted, missing
from webhook.registry.places import blob_path, manifest_path

if TYPE_CHECKING:
    from webhook.core import Availability, ImageReference
    from webhook.registry.client import Client, Reply

__all__ = ["Registries"]


class Registries:
    """Questions for manifests, over the network.

    A manifest is asked for by HEAD, which Docker Hub does not count as a pull; only
    where platforms are wanted it is fetched.

    Args:
        settings: How to ask.
        client: Sends requests.
    """

    def __init__(self, settings: Availability, client: Client) -> None:
        self._settings = settings
        self._client = client

    async def ask(self, reference: ImageReference) -> Finding:
        """Return whether the registry of *reference* has it.

        Whatever goes wrong on the way is an answer as well.
        """
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await self._asked(reference)
        except TimeoutError:
            milliseconds = round(self._settings.timeout * 1000)
            return Finding(Answer.TIMEOUT, f"{milliseconds} ms")
        except EXCHANGE_ERRORS as error:
            return explained(error)

    async def _asked(self, reference: ImageReference) -> Finding:
        platforms = self._settings.platforms
        path = manifest_path(reference)
        reply = await self._fetched(reference, path, whole=bool(platforms))
        finding = interpreted(
            reply.status,
            reply.headers.get("Content-Type", ""),
            reply.headers.get("Docker-Content-Digest", ""),
            reference.digest or "",
        )
        if not platforms or finding.presence is not Presence.PRESENT:
            return finding
        body = reply.body
        config = config_of(body)
        if config is None:
            return Finding(Answer.PAGE, "it is neither a manifest nor an index")
        if config:
            answer = await self._fetched(reference, blob_path(config), whole=True)
            if answer.status != httpx.codes.OK:
                detail = f"its configuration is not there: HTTP {answer.status}"
                return Finding(Answer.ABSENT, detail)
            body = answer.body
        lacking = missing(platforms, covered(body))
        if lacking:
            return Finding(Answer.PLATFORM, f"not for {', '.join(map(str, lacking))}")
        return finding

    async def _fetched(self, reference: ImageReference, path: str, *, whole: bool) -> Reply:
        """Return the answer to a request.

        Args:
            reference: The image that it is for.
            path: What to ask for, below the image's repository.
            whole: Fetch it; otherwise ask for its head.
        """
        method = "GET" if whole else "HEAD"
        return await self._client.fetch(Call(method, reference, path, {"Accept": ACCEPT}))

"""Requests to one repository, with patience, and with errors that name what was asked for."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from webhook.registry.responses import (
    CheckResult,
    CheckStatus,
    RegistryError,
    interpret_response,
)
from webhook.transfer.client import Call, Stream
from webhook.transfer.errors import TransferError, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from webhook.core import ImageReference
    from webhook.transfer.client import Client, Opened, Reply
    from webhook.transfer.patience import Patience

__all__ = ["Line"]

READING: Final = frozenset({"GET", "HEAD"})
NOTHING: Final[Mapping[str, str]] = {}


class Line:
    """The way to the repository of an image.

    Args:
        client: Sends requests.
        reference: The image.
        patience: How long is waited.
    """

    def __init__(self, client: Client, reference: ImageReference, patience: Patience) -> None:
        self._client = client
        self.reference = reference
        self.patience = patience

    async def fetch(
        self,
        method: str,
        to: str,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
        content: bytes | Stream = b"",
        also: str = "",
    ) -> Reply:
        """Return the answer to one request, whatever its status is.

        Args:
            method: The method of HTTP.
            to: A path below the repository, or an address that an answer has given.
            headers: Headers.
            query: Parameters to be added to the address.
            content: The body.
            also: Another repository of the registry that has to be read for it.

        Raises:
            TransferError: There is none.
        """
        silence = self.patience.silence
        call = Call(method, self.reference, to, headers, query, content, also, silence)
        try:
            size = content.size if isinstance(content, Stream) else len(content)
            async with asyncio.timeout(self.patience.seconds_for(size)):
                return await self._client.fetch(call)
        except (TimeoutError, RegistryError) as error:
            raise self._failure(self.what(method, to), error) from None

    @asynccontextmanager
    async def open(
        self, to: str, headers: Mapping[str, str] = NOTHING
    ) -> AsyncIterator[tuple[Opened, AsyncIterator[bytes]]]:
        """Give the answer to a request for a blob, and the body as it comes.

        Raises:
            TransferError: There is none, or it breaks off.
        """
        call = Call("GET", self.reference, to, headers, silence=self.patience.silence)
        what = self.what("GET", to)
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self.patience.silence):
                    opened = await stack.enter_async_context(self._client.open(call))
                yield opened, self._parts(what, opened)
        except (TimeoutError, RegistryError) as error:
            raise self._failure(what, error) from None

    async def _parts(self, what: str, opened: Opened) -> AsyncIterator[bytes]:
        try:
            async for part in self.patience.steady(opened.parts):
                yield part
        except (TimeoutError, RegistryError) as error:
            raise self._failure(what, error) from None

    def refused(self, method: str, to: str, reply: Reply | Opened) -> TransferError:
        """Return the error for an answer with another status than was hoped for."""
        finding = interpret_response(reply.status, {})
        if finding.status is CheckStatus.PAGE:
            finding = CheckResult(CheckStatus.UNEXPECTED, f"HTTP {reply.status}")
        retry = reply.headers.get("Retry-After", "")
        what, registry = self.what(method, to), self.reference.registry
        return refusal(what, registry, finding, retry, writes=method not in READING)

    def _failure(self, what: str, error: TimeoutError | RegistryError) -> TransferError:
        if isinstance(error, TimeoutError):
            finding = CheckResult(CheckStatus.TIMEOUT, f"{self.patience.silence:g} s")
        else:
            finding = error.result
        return refusal(what, self.reference.registry, finding)

    def what(self, method: str, to: str) -> str:
        """Return what messages call a request: an upload's address may hold a secret."""
        path = "an upload" if "://" in to else to
        return f"{method} {path} of {self.reference.name}"

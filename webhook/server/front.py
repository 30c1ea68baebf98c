"""What stands before an application: the routes that are asked all day, without the rest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Front"]


class Front:
    """Answers some paths by one endpoint, and all others by an application made for the first.

    Args:
        is_ours: Says whether a path is the endpoint's.
        endpoint: The endpoint; the application has it too.
        make: Makes the application, in a thread, as that takes some time.
        before: Is called before each request, for nothing to be told that is stale.
    """

    def __init__(
        self,
        is_ours: Callable[[str], bool],
        endpoint: ASGIApp,
        make: Callable[[], ASGIApp],
        before: Callable[[], None] | None = None,
    ) -> None:
        self._is_ours = is_ours
        self._endpoint = endpoint
        self._make = make
        self._before = before
        self._making = asyncio.Lock()
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if self._before is not None:
            self._before()
        if scope["type"] == "http" and self._is_ours(scope["path"]):
            await self._endpoint(scope, receive, send)
        else:
            app = self._app or await self._made()
            await app(scope, receive, send)

    async def _made(self) -> ASGIApp:
        async with self._making:
            if self._app is None:
                self._app = await asyncio.to_thread(self._make)
        return self._app

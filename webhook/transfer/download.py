"""A blob on its way: resumed where the connection breaks, and checked at its end."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING

from webhook.transfer.errors import TransferError, WrongContentError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from webhook.transfer.content import Descriptor
    from webhook.transfer.patience import Patience
    from webhook.transfer.store import Store

__all__ = ["Download"]


class Download:
    """The bytes of a blob, each once and in order, from however many connections it takes.

    Args:
        source: Who has it.
        blob: The blob.
        patience: How often is tried to go on.
        known: The bytes that are here already, from the beginning on.
    """

    def __init__(
        self,
        source: Store,
        blob: Descriptor,
        patience: Patience,
        known: Iterable[bytes] = (),
    ) -> None:
        self._source = source
        self._blob = blob
        self._patience = patience
        self._hash = hashlib.new(blob.digest.partition(":")[0])
        self.offset = 0
        for part in known:
            self._hash.update(part)
            self.offset += len(part)

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield what is not here yet.

        Raises:
            WrongContentError: The blob is not what its digest and size say. What was
                yielded is to be thrown away.
            TransferError: It does not come to its end.
        """
        failures = 0
        while self.offset < self._blob.size:
            before = self.offset
            try:
                async with aclosing(self._once()) as parts:
                    async for part in parts:
                        yield part
            except TransferError as error:
                failures = 1 if self.offset > before else failures + 1
                await self._patience.wait(failures, error)
        self._check()

    async def _once(self) -> AsyncGenerator[bytes, None]:
        """Yield what one connection gives."""
        async with self._source.blob(self._blob, self.offset) as (start, parts):
            surplus = self.offset - start
            async for part in parts:
                piece = part[surplus:]
                surplus -= min(surplus, len(part))
                if not piece:
                    continue
                self.offset += len(piece)
                if self.offset > self._blob.size:
                    self._refuse(f"it is larger than its {self._blob.size} bytes")
                self._hash.update(piece)
                yield piece
        if self.offset < self._blob.size:
            raise TransferError(f"{self._what}: it ends early", is_transient=True)

    def _check(self) -> None:
        algorithm = self._blob.digest.partition(":")[0]
        digest = f"{algorithm}:{self._hash.hexdigest()}"
        if digest != self._blob.digest:
            self._refuse(f"it came with the digest {digest}")

    def _refuse(self, problem: str) -> None:
        raise WrongContentError(
            f"{self._what}: {problem}: it is not what its manifest names; nothing of it is kept"
        )

    @property
    def _what(self) -> str:
        return f"blob {self._blob.digest} from {self._source}"

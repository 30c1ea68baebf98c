"""Looking at all replicas, when somebody asks for it and not before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from webhook.kube import ClusterError
from webhook.server.replicas.asking import NoAnswerError, ask, authority
from webhook.server.replicas.values import (
    Presence,
    ReplicaRow,
    Replicas,
    ReplicaState,
    differences,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from webhook.kube import Endpoint

__all__ = ["Neighbours"]

PATIENCE_SECONDS: Final = 1.0
FRESH_SECONDS: Final = 2.0


class Neighbours:
    """All replicas, of which this one is known without asking.

    Args:
        own: Gives the state of this replica.
        find: Finds where the replicas are; raises `ClusterError` where it cannot.
        clock: Gives seconds that only ever go forward.
        patience: Seconds to wait for a replica.
        fresh: Seconds for which what was seen is not looked for again.
    """

    def __init__(
        self,
        *,
        own: Callable[[], ReplicaState],
        find: Callable[[], Awaitable[Iterable[Endpoint]]],
        clock: Callable[[], float],
        patience: float = PATIENCE_SECONDS,
        fresh: float = FRESH_SECONDS,
    ) -> None:
        self._own = own
        self._find = find
        self._clock = clock
        self._patience = patience
        self._fresh = fresh
        self._looking: asyncio.Task[Replicas] | None = None
        self._began = 0.0

    async def look(self) -> Replicas:
        """Return how all replicas stand, at most a moment ago; visitors share one look."""
        now = self._clock()
        if self._looking is None or now - self._began >= self._fresh:
            self._began = now
            self._looking = asyncio.create_task(self._look())
        # A visitor who leaves must not take it away from the others.
        return await asyncio.shield(self._looking)

    async def _look(self) -> Replicas:
        own = self._own()
        try:
            endpoints = await self._find()
        except ClusterError as error:
            return Replicas([row_of(own, this=True)], False, str(error), [])
        rows = await asyncio.gather(*(self._row(own, each) for each in endpoints))
        if not any(row.this for row in rows):
            rows.append(row_of(own, this=True))
        rows.sort(key=lambda row: row.name)
        differing = differences(row.state for row in rows if row.state)
        return Replicas(rows, True, "", differing)

    async def _row(self, own: ReplicaState, endpoint: Endpoint) -> ReplicaRow:
        if endpoint.pod == own.name:
            return row_of(own, this=True)
        try:
            async with asyncio.timeout(self._patience):
                state = await ask(endpoint)
        except TimeoutError:
            reason = (
                f"no answer of {authority(endpoint)} within {self._patience:g} seconds: it "
                "hangs, or a NetworkPolicy is in the way"
            )
        except NoAnswerError as error:
            reason = str(error)
        else:
            this = state.identity == own.identity
            return row_of(state, this=this, endpoint=endpoint)
        where = authority(endpoint)
        return ReplicaRow(endpoint.pod or where, where, False, Presence.SILENT, reason, None)


def row_of(state: ReplicaState, *, this: bool, endpoint: Endpoint | None = None) -> ReplicaRow:
    """Return the row of a replica that says how it stands."""
    return ReplicaRow(
        name=endpoint.pod if endpoint and endpoint.pod else state.name,
        address=authority(endpoint) if endpoint else "",
        this=this,
        presence=Presence.READY if state.ready else Presence.NOT_READY,
        reason="; ".join(state.problems),
        state=state,
    )

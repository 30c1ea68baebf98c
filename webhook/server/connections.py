"""How many connections a port may have, and which one is closed for a new one.

An API server keeps up to 25 connections open (client-go), and opens more when many Pods come
at once. Anyone else who can reach the port may open connections too. They compete only with
each other: the address with the most connections gives one up for a new connection.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webhook.telemetry import Log, Metrics


class Connection(Protocol):
    """One connection of the table."""

    address: str
    active_at: float

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""


__all__ = ["ClosingRecorder", "ConnectionTable"]

# A few log lines are enough to find the cause; the metric counts all.
LOG_SECONDS: Final = 10.0


class ClosingRecorder:
    """Counts the connections that the webhook closes or refuses, and logs some of them.

    Args:
        log: Logs one in ten seconds for each reason.
        metrics: Counts all.
        clock: Returns monotonic seconds.
    """

    def __init__(self, log: Log, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._logged: dict[str, float] = {}

    def record(self, reason: str, client: str, problem: str) -> None:
        """Record a connection.

        Args:
            reason: One of a few words, which is a label of the metric.
            client: The address of the client.
            problem: A sentence that says more.
        """
        self._metrics.count_closed_connection(reason)
        now = self._clock()
        if now - self._logged.get(reason, -LOG_SECONDS) >= LOG_SECONDS:
            self._logged[reason] = now
            self._log.warning("connection closed", reason=reason, client=client, problem=problem)


Each = TypeVar("Each", bound=Connection)


class ConnectionTable(Generic[Each]):
    """The connections of one port, from the moment they are accepted.

    Args:
        limit: The most connections at once. One address may have half of them.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: set[Each] = set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Each]:
        return iter(self._open)

    def add(self, connection: Each) -> Each | None:
        """Add a connection, and return the one to close for it, which may be itself.

        The oldest quiet connection is closed, of the address that has the most.
        """
        counts = Counter(each.address for each in self._open)
        closed = None
        if counts[connection.address] >= self._limit // 2:
            closed = self._find_oldest([connection.address]) or connection
        elif len(self._open) >= self._limit:
            closed = self._find_oldest([address for address, _ in counts.most_common()])
            closed = closed or connection
        self._open.add(connection)
        if closed is not None:
            self._open.discard(closed)
        return closed

    def discard(self, connection: Each) -> None:
        """Remove a connection that has ended."""
        self._open.discard(connection)

    def _find_oldest(self, addresses: list[str]) -> Each | None:
        """Return the oldest quiet connection of the first address that has one."""
        quiet = [each for each in self._open if not each.is_busy]
        for address in addresses:
            own = [each for each in quiet if each.address == address]
            if own:
                return min(own, key=lambda each: each.active_at)
        return None

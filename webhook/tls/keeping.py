"""Certificates that look after themselves, for as long as the process runs.

`keep` is the entry point: it makes and replaces the CA in the Secret, has the API
server trust it, and hands over this replica's certificate, now and whenever there is
a new one::

    place = Place(
        secret_namespace="mirrorhook",
        secret_name="mirrorhook-ca",
        service_namespace="mirrorhook",
        service_name="mirrorhook",
        configuration="mirrorhook",
    )
    await keep(
        place,
        webhook.kube.connect(),
        clock=lambda: datetime.now(UTC),
        on_pair=serving.use,
        on_standing=lambda standing: ...,
        log=log,
    )

It never returns, and no error of the cluster ends it. Until the first certificate
comes there is none to serve with: begin with a self-signed one, which nobody trusts,
and be ready when `Standing.ready` says so.

What to do is decided in `webhook.tls.authority`. A round reads the configuration
first and the Secret after it, and writes each only if it still is as it was read. So
what a round publishes is never older than what it replaces, however many replicas
race, and whatever their watches missed.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webhook.tls.authority import Timing
from webhook.tls.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from webhook.tls.pair import KeyPair
    from webhook.tls.place import Cluster, Log, Place, Standing
    from webhook.tls.replica import Round

__all__ = ["Pace", "keep"]

TIMING = Timing()


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two rounds.

    Attributes:
        look: At the latest, as a watch may miss something and a clock may jump.
        pause: At the least.
        overtaken: After another replica was faster.
        dispute: At the least, when somebody else keeps changing what we publish.
        retry: After the first failure to reach the API server; it doubles from there.
        longest_retry: After many of them.
    """

    look: float = 30.0
    pause: float = 0.5
    overtaken: float = 0.1
    dispute: float = 5.0
    retry: float = 1.0
    longest_retry: float = 30.0

    def after(self, outcome: Round, failures: int) -> tuple[float, float]:
        """Return how long to wait after a round, at the least and at the latest.

        Args:
            outcome: What came of the round.
            failures: How many times in a row the API server was not reached.
        """
        if outcome.overtaken:
            return self.overtaken, self.overtaken
        least = self.dispute if outcome.disputed else self.pause
        if outcome.unavailable:
            return least, min(self.retry * 2.0 ** min(failures - 1, 30), self.longest_retry)
        return least, self.look


PACE = Pace()


async def keep(
    place: Place,
    cluster: Cluster,
    *,
    clock: Callable[[], datetime],
    on_pair: Callable[[KeyPair], None],
    on_standing: Callable[[Standing], None],
    log: Log,
    stopwatch: Callable[[], float] = time.monotonic,
    timing: Timing = TIMING,
    pace: Pace = PACE,
) -> None:
    """Look after the certificates until cancelled.

    Args:
        place: The objects to look after.
        cluster: Where they are.
        clock: Gives the time.
        on_pair: Takes each new certificate of this replica.
        on_standing: Is told how things stand, at first and when it changes.
        log: Notes what is done, and what goes wrong when it begins and ends.
        stopwatch: Gives seconds that only ever go forward.
        timing: How long things last.
        pace: How often to look.
    """
    replica = Replica(
        place,
        cluster,
        clock=clock,
        stopwatch=stopwatch,
        timing=timing,
        on_pair=on_pair,
        log=log,
    )
    changed = asyncio.Event()
    told: Standing | None = None
    failures = 0
    with ExitStack() as stack:
        watches = [
            stack.enter_context(watch)
            for watch in (
                cluster.watch_webhook_configuration(place.configuration, changed.set),
                cluster.watch_secret(place.secret_namespace, place.secret_name, changed.set),
            )
        ]
        while True:
            changed.clear()
            outcome = await replica.round()
            failures = failures + 1 if outcome.unavailable else 0
            blind = tuple(watch.problem for watch in watches if watch.problem)
            standing = replica.standing((*outcome.problems, *blind))
            # What an overtaken replica has seen is out of date already.
            if standing != told and not outcome.overtaken:
                note(log, told, standing)
                on_standing(standing)
                told = standing
            least, latest = pace.after(outcome, failures)
            await asyncio.sleep(least)
            with suppress(TimeoutError):
                async with asyncio.timeout(latest - least):
                    await changed.wait()


def note(log: Log, before: Standing | None, after: Standing) -> None:
    """Log the problems that are new, and that there is none any more."""
    old = before.problems if before else ()
    for problem in after.problems:
        if problem not in old:
            log.warning("certificates cannot be looked after", problem=problem)
    if old and not after.problems:
        log.info("certificates are looked after again")
    if not after.ready and (before is None or after.reason != before.reason):
        log.warning("certificate not ready", reason=after.reason)

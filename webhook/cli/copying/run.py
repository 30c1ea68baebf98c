"""One run of `mirrorhook copy`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webhook.cli.copying.progress import meter
from webhook.cli.copying.report import as_object, show_plan, show_summary
from webhook.cli.copying.stores import Route
from webhook.cli.output import show_json
from webhook.cli.probe import StderrObserver
from webhook.registry import create_client
from webhook.transfer import Client, Fleet, Patience, Session, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhook.core import Availability, Platform
    from webhook.transfer import Archive, Order, Result

__all__ = ["Run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How images are copied.

    Attributes:
        settings: How registries are reached.
        platforms: Which manifests of an index; empty for all.
        saving: The archive that they go to; None if they go to their mirrors.
        loading: The archive that they come from; None if they come from upstream.
        jobs: How many are on their way at once.
        silence: Seconds that a registry may be silent.
        is_plan: Whether nothing is sent.
        is_json: Whether programs are told, and not people.
    """

    settings: Availability
    platforms: tuple[Platform, ...]
    saving: Archive | None
    loading: Archive | None
    jobs: int
    silence: float
    is_plan: bool
    is_json: bool

    async def copied(self, orders: Sequence[Order]) -> list[Result]:
        """Copy images, and return what became of each."""
        report = StderrObserver().on_problem
        client = Client(create_client(self.settings, time.monotonic, report))
        session = Session(client, Patience(silence=self.silence))
        route = Route(session, self.saving, self.loading, self.is_plan)
        is_told = not self.is_plan and not self.is_json
        try:
            with meter(len(orders), is_told=is_told) as watching:
                fleet = Fleet(
                    route, self.platforms, self.jobs, session.patience, watching, watching
                )
                return await fleet.copy(orders)
        finally:
            await client.close()

    def told(self, results: Sequence[Result]) -> bool:
        """Tell what became of all images; say whether none failed."""
        if self.is_json:
            show_json([as_object(result, is_plan=self.is_plan) for result in results])
        elif self.is_plan:
            show_plan(results)
        show_summary(results)
        return not any(result.status is Status.FAILED for result in results)

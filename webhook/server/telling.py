"""Telling what became of reviews: each as it is answered, and a moment later how many.

Most of what comes together comes to the same, and is counted as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from webhook.admission import OUR_ERROR, Result, Totals
from webhook.server.recording import note_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.admission import AdmissionRequest, Verdict
    from webhook.server.recording import Observer
    from webhook.telemetry import Log

__all__ = ["Telling"]

SECONDS: Final = 0.02
# Hardly any come to the same where rules are many; to count so many takes a millisecond.
MAX_KINDS: Final = 256

Kind: TypeAlias = tuple[str, Result, Totals]


class Telling:
    """Tells an observer of reviews; nobody is told in two threads.

    Args:
        observer: Who is told.
        log: Notes when that fails.
        call_later: Calls a function after some seconds, in the thread of the reviews.
    """

    def __init__(
        self,
        observer: Observer,
        log: Log,
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._observer = observer
        self._log = log
        self._call_later = call_later
        self._times: dict[Kind, int] = {}

    def reviewed(self, policy: str, request: AdmissionRequest, verdict: Verdict) -> None:
        """Note one review, and count it soon."""
        try:
            self._observer.noted(note_of(policy, request, verdict))
        except Exception as error:  # noqa: BLE001 - its Pod is answered all the same
            self._log.failure("a review could not be noted", error, uid=request.uid)
        times = self._times
        is_first = not times
        kind = policy, verdict.result, verdict.totals
        times[kind] = times.get(kind, 0) + 1
        if is_first:
            self._call_later(SECONDS, self.flush)
        elif len(times) >= MAX_KINDS:
            self.flush()

    def failed(self, policy: str, request: AdmissionRequest, error: Exception) -> None:
        """Note an error of ours."""
        self._observer.failed(note_of(policy, request, OUR_ERROR), error)

    def flush(self) -> None:
        """Count what has not been counted yet: before somebody asks, and at the end."""
        counted, self._times = self._times, {}
        for (policy, result, totals), times in counted.items():
            try:
                self._observer.counted(policy, result, totals, times)
            except Exception as error:  # noqa: BLE001 - others are counted all the same
                self._log.failure("reviews could not be counted", error, policy=policy)

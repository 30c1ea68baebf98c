"""
Telling what became of reviews after they are answered, some at a time.

No Pod waits for it; and most of what comes together comes to the same, and is counted as
one.
"""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from webhook.admission import OUR_ERROR
from webhook.server.recording import note_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.admission import AdmissionRequest, Verdict
    from webhook.server.recording import Note, Observer
    from webhook.telemetry import Log

__all__ = ["Deferred"]

SECONDS: Final = 0.02
# A review that comes meanwhile waits for no longer than these take.
TOGETHER: Final = 6
# So many hold less than a megabyte, and come in the time only where nothing else is done.
MAX_PENDING: Final = 256

countable = attrgetter("policy", "verdict.result", "verdict.totals")


class Deferred:
    """
    Tells an observer of reviews a moment later; nobody is told in two threads.

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
        self._pending: list[Note] = []

    def reviewed(self, policy: str, request: AdmissionRequest, verdict: Verdict) -> None:
        """
        Note one review, soon.
        """
        pending = self._pending
        pending.append(note_of(policy, request, verdict))
        if len(pending) == 1:
            self._call_later(SECONDS, self._tell_some)
        elif len(pending) >= MAX_PENDING:
            self._tell(TOGETHER)

    def failed(self, policy: str, request: AdmissionRequest, error: Exception) -> None:
        """
        Note an error of ours, and before it what came before it.
        """
        self.flush()
        self._observer.failed(note_of(policy, request, OUR_ERROR), error)

    def flush(self) -> None:
        """
        Tell what has not been told yet: before somebody asks, and at the end.
        """
        self._tell(len(self._pending))

    def _tell_some(self) -> None:
        """
        Tell what is there, but not all of it at once.
        """
        self._tell(TOGETHER)
        if self._pending:
            self._call_later(0, self._tell_some)

    def _tell(self, count: int) -> None:
        notes, self._pending = self._pending[:count], self._pending[count:]
        for note in notes:
            try:
                self._observer.noted(note)
            except Exception as error:  # noqa: BLE001 - its Pod is answered, others wait
                self._log.failure("a review could not be noted", error, uid=note.uid)
        for (policy, result, totals), times in Counter(map(countable, notes)).items():
            try:
                self._observer.counted(policy, result, totals, times)
            except Exception as error:  # noqa: BLE001 - as above
                self._log.failure("reviews could not be counted", error, policy=policy)

"""
Noting what became of reviews after they are answered, many at a time.

Counting, logging and remembering cost as much as judging when each review does it alone,
and a third of that when many do it one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.admission import AdmissionRequest, Recorder, Verdict
    from webhook.telemetry import Log

__all__ = ["Deferred"]

SECONDS: Final = 0.02
# So many hold a megabyte, and come within the time only where nothing else is done.
MAX_PENDING: Final = 256


class Deferred:
    """
    Tells a recorder of reviews a moment later; nobody is told in two threads.

    Args:
        recorder: Who is told.
        log: Notes when that fails.
        call_later: Calls a function after some seconds, in the thread of the reviews.
    """

    def __init__(
        self,
        recorder: Recorder,
        log: Log,
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._recorder = recorder
        self._log = log
        self._call_later = call_later
        self._pending: list[tuple[str, AdmissionRequest, Verdict]] = []

    def reviewed(self, policy: str, request: AdmissionRequest, verdict: Verdict) -> None:
        """
        Note one review, soon.
        """
        pending = self._pending
        pending.append((policy, request, verdict))
        if len(pending) == 1:
            self._call_later(SECONDS, self.flush)
        elif len(pending) >= MAX_PENDING:
            self.flush()

    def failed(self, policy: str, request: AdmissionRequest, error: Exception) -> None:
        """
        Note an error of ours, and before it what came before it.
        """
        self.flush()
        self._recorder.failed(policy, request, error)

    def flush(self) -> None:
        """
        Tell what has not been told yet: before somebody asks, and at the end.
        """
        pending, self._pending = self._pending, []
        for policy, request, verdict in pending:
            try:
                self._recorder.reviewed(policy, request, verdict)
            except Exception as error:  # noqa: BLE001 - its Pod is answered, others wait
                self._log.failure("a review could not be noted", error, uid=request.uid)

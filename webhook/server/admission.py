"""``POST /mutate`` and ``POST /mutate/<policy>``: the one route that every Pod waits for.

It is plain ASGI. The router and the middleware of a framework would cost half as
much again as reading the review and answering it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from webhook.admission import InvalidReviewError, answer, answer_asking
from webhook.server.intake import JSON_FIELD, DisconnectedError, Intake
from webhook.server.patience import patience
from webhook.server.refusal import RefusalError, status_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from webhook.admission import Policy, Recorder
    from webhook.server.heads import Answerer
    from webhook.server.readiness import Readiness
    from webhook.telemetry import Log, Metrics

    Fields = Sequence[tuple[bytes, bytes]]

__all__ = ["ADMISSION_PATH", "AdmissionEndpoint", "is_review"]

ADMISSION_PATH: Final = "/mutate"
BELOW: Final = f"{ADMISSION_PATH}/"
DEFAULT_POLICY: Final = "default"

CLOSE_FIELD: Final = (b"connection", b"close")


class AdmissionEndpoint:
    """The admission route as an ASGI application.

    Args:
        policies: Gives the policies by name, as they are now.
        recorder: Is told what became of each review.
        readiness: Says when the process is about to end.
        metrics: Counts.
        log: Notes refusals.
        clock: Gives seconds since the epoch.
        stopwatch: Gives seconds that only grow.
    """

    def __init__(
        self,
        *,
        policies: Callable[[], Mapping[str, Policy]],
        recorder: Recorder,
        readiness: Readiness,
        metrics: Metrics,
        log: Log,
        clock: Callable[[], float],
        stopwatch: Callable[[], float],
    ) -> None:
        self._policies = policies
        self._recorder = recorder
        self._readiness = readiness
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._stopwatch = stopwatch
        self._intake = Intake()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        stopwatch, recorder = self._stopwatch, self._recorder
        status, headers = 200, [JSON_FIELD]
        arrived = stopwatch()
        try:
            policy = self._policy(scope)
            body = await self._intake.body(scope, receive)
            began = stopwatch()
            content = answer(body, policy, recorder)
            if content is None:
                left = patience(scope["query_string"]) - (began - arrived)
                content = await answer_asking(body, policy, recorder, left)
            self._metrics.answered(stopwatch() - began, self._clock())
        except InvalidReviewError as error:
            status, content = 400, self._refused(scope, 400, str(error))
        except RefusalError as error:
            status = error.code
            content = self._refused(scope, error.code, error.message)
            headers += error.headers
        except DisconnectedError:
            return
        if self._readiness.draining:
            headers.append(CLOSE_FIELD)
        headers.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def at_once(self, target: bytes, fields: Fields) -> Answerer | None:
        """Return who answers requests by POST that are as nearly all are.

        To be asked as an application costs more than half as much again.

        Args:
            target: Path and query.
            fields: Names, in lower case, and values of the header.

        Returns:
            From a body of no unusual size to the content of the answer, which is JSON; or
            None to be asked as an application instead. None for all bodies.
        """
        path = target.partition(b"?")[0].decode("latin-1")
        if self._at(path) is None or JSON_FIELD not in fields:
            return None
        return partial(self._answer, path)

    def _answer(self, path: str, body: bytes) -> bytes | None:
        policy = self._at(path)
        if policy is None or self._readiness.draining:
            return None
        began = self._stopwatch()
        try:
            content = answer(body, policy, self._recorder)
        except InvalidReviewError:
            return None
        if content is not None:
            self._metrics.answered(self._stopwatch() - began, self._clock())
        return content

    def _refused(self, scope: Scope, code: int, message: str) -> bytes:
        self._metrics.refused(code)
        client = scope.get("client")
        self._log.warning(
            "request refused",
            code=code,
            reason=message,
            path=scope["path"],
            client=client[0] if client else "",
        )
        return status_body(code, message)

    def _policy(self, scope: Scope) -> Policy:
        path: str = scope["path"]
        policy = self._at(path)
        if policy is None:
            known = ", ".join(self._policies())
            raise RefusalError(404, f"there is no policy at {path}; policies: {known}")
        if scope["method"] != "POST":
            problem = f"{scope['method']} is not allowed here; send a review by POST"
            raise RefusalError(405, problem, (b"allow", b"POST"))
        return policy

    def _at(self, path: str) -> Policy | None:
        """Return the policy that is served at *path*; None if there is none."""
        if path == ADMISSION_PATH:
            return self._policies().get(DEFAULT_POLICY)
        return self._policies().get(path[len(BELOW) :]) if is_review(path) else None


def is_review(path: str) -> bool:
    """Say whether reviews go to *path*."""
    return path == ADMISSION_PATH or path.startswith(BELOW)

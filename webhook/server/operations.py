"""
Probes and metrics: what kubelets and Prometheus ask for all day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from webhook.server.readiness import Readiness
    from webhook.telemetry import Metrics

    Answer = tuple[int, bytes, str]

__all__ = ["OPERATIONS", "Operations"]

PLAIN: Final = "text/plain; charset=utf-8"
OPERATIONS: Final = ("/healthz", "/readyz", "/metrics")


class Operations:
    """
    The routes of `OPERATIONS` as an ASGI application.

    Args:
        readiness: Whether this replica should get requests.
        metrics: What is to be scraped.
    """

    def __init__(self, readiness: Readiness, metrics: Metrics) -> None:
        self._readiness = readiness
        self._metrics = metrics
        answers = self.healthz, self.readyz, self.scrape
        self._answers: dict[str, Callable[[Scope], Answer]] = dict(
            zip(OPERATIONS, answers, strict=True)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """
        Answer one request for one of the routes.
        """
        if scope["method"] in ("GET", "HEAD"):
            code, body, content_type = self._answers[scope["path"]](scope)
            headers = [(b"content-type", content_type.encode())]
        else:
            code, body, headers = 405, b"", [(b"allow", b"GET, HEAD")]
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def healthz(self, _scope: Scope) -> Answer:
        """
        Say that the process answers: for liveness and startup probes.
        """
        return 200, b"ok\n", PLAIN

    def readyz(self, _scope: Scope) -> Answer:
        """
        Say whether reviews should come here, and if not, why: for readiness probes.
        """
        problems = self._readiness.problems
        text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
        return 503 if problems else 200, text.encode(), PLAIN

    def scrape(self, scope: Scope) -> Answer:
        """
        Return the metrics in the Prometheus text format, or in OpenMetrics if asked for.
        """
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        content, content_type = self._metrics.exposition(accept)
        return 200, content, content_type

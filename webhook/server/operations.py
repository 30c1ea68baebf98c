"""Probes and metrics: what kubelets and Prometheus ask for all day; and what replicas ask."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from webhook.server.readiness import Readiness
    from webhook.server.replicas import ReplicaState
    from webhook.telemetry import Metrics

    Answer = tuple[int, bytes, str]

__all__ = ["Operations"]

PLAIN: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"


class Operations:
    """These routes as an ASGI application.

    Args:
        readiness: Whether this replica should get requests.
        metrics: What is to be scraped.
        own: Gives what other replicas are told of this one; None where they are not.
    """

    def __init__(
        self,
        readiness: Readiness,
        metrics: Metrics,
        own: Callable[[], ReplicaState] | None = None,
    ) -> None:
        self._readiness = readiness
        self._metrics = metrics
        self._answers: dict[str, Callable[[Scope], Answer]] = {
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "/metrics": self.scrape,
        }
        if own is not None:
            self._answers["/replica"] = lambda _: (200, encoded(own()), JSON)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the routes."""
        return tuple(self._answers)

    def answers(self, path: str) -> bool:
        """Say whether a path is one of the routes."""
        return path in self._answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request for one of the routes."""
        if scope["method"] in ("GET", "HEAD"):
            code, body, content_type = self._answers[scope["path"]](scope)
            headers = [(b"content-type", content_type.encode())]
        else:
            code, body, headers = 405, b"", [(b"allow", b"GET, HEAD")]
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def healthz(self, _scope: Scope) -> Answer:
        """Say that the process answers: for liveness and startup probes."""
        return 200, b"ok\n", PLAIN

    def readyz(self, _scope: Scope) -> Answer:
        """Say whether reviews should come here, and if not, why: for readiness probes."""
        problems = self._readiness.problems
        text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
        return 503 if problems else 200, text.encode(), PLAIN

    def scrape(self, scope: Scope) -> Answer:
        """Return the metrics in the Prometheus text format, or in OpenMetrics if asked for."""
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        content, content_type = self._metrics.exposition(accept)
        return 200, content, content_type


def encoded(state: ReplicaState) -> bytes:
    """Return the state of a replica as JSON, as FastAPI gives it."""
    return json.dumps(asdict(state), default=written, ensure_ascii=False).encode()


def written(value: Any) -> str:
    """Return a time in UTC as JSON has it (RFC 3339)."""
    assert isinstance(value, datetime)  # noqa: S101 - nothing else has no form in JSON
    return value.isoformat().replace("+00:00", "Z")

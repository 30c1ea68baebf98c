"""Traces of reviews by OpenTelemetry, where its `standard variables`_ ask for them.

The API server sends the context of its own trace along (KEP-647), so that a review is a
span below the request for the Pod.

.. _standard variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Tracing", "TracingError", "open_tracing"]

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
DISABLED: Final = "OTEL_SDK_DISABLED"
NAME: Final = "OTEL_SERVICE_NAME"
SERVER_ERROR: Final = 500

if TYPE_CHECKING:
    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]


class TracingError(Exception):
    """Traces are asked for, and cannot be made."""


class Tracing:
    """Makes a span of every review.

    Args:
        provider: Where spans go.
        version: Version of mirrorhook.
    """

    def __init__(self, provider: TracerProvider, version: str) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("mirrorhook", version)

    def of(self, app: App) -> App:
        """Return an ASGI application with a span around each request."""
        from opentelemetry.propagate import extract  # noqa: PLC0415 - only where asked for
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            headers = {
                name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
            }
            with self._tracer.start_as_current_span(
                f"{scope['method']} {scope['path']}",
                context=extract(headers),
                kind=SpanKind.SERVER,
                attributes={
                    "http.request.method": scope["method"],
                    "url.path": scope["path"],
                },
            ) as span:

                async def sent(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        span.set_attribute("http.response.status_code", message["status"])
                        if message["status"] >= SERVER_ERROR:
                            span.set_status(StatusCode.ERROR)
                    await send(message)

                await app(scope, receive, sent)

        return traced

    def close(self, seconds: float) -> None:
        """Send what is left, and give up on a collector that does not take it.

        Args:
            seconds: How long that may take.
        """
        # The SDK itself would wait for half a minute, and cannot be told otherwise.
        ending = Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(seconds)


def open_tracing(environment: Mapping[str, str], version: str) -> Tracing | None:
    """Return tracing where the environment asks for it.

    Args:
        environment: The variables of the process, which the SDK reads as well.
        version: Version of mirrorhook.

    Raises:
        TracingError: It is asked for, and its packages are missing, or its exporter is
            another one than OTLP.
    """
    if not is_asked_for(environment):
        return None
    exporter = environment.get(EXPORTER) or "otlp"
    if exporter != "otlp":
        raise TracingError(f"{EXPORTER} is {exporter!r}: write otlp, or none")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise TracingError(
            f"traces are asked for, and a package is missing ({error}): install mirrorhook[tracing]"
        ) from None
    names = {} if environment.get(NAME) else {"service.name": "mirrorhook"}
    provider = TracerProvider(resource=Resource.create(names), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider, version)


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Say whether the variables ask for traces."""
    if environment.get(DISABLED, "").lower() == "true":
        return False
    exporter = environment.get(EXPORTER)
    if exporter:
        return exporter != "none"
    return any(environment.get(name) for name in ENDPOINTS)

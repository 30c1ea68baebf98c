"""Traces of reviews by OpenTelemetry, where its `standard variables`_ ask for them.

FastAPI makes the spans. The API server sends the context of its own trace (KEP-647), so a
review is a span below the request for the Pod.

.. _standard variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Tracing", "TracingError", "open_tracing"]

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
DISABLED: Final = "OTEL_SDK_DISABLED"
NAME: Final = "OTEL_SERVICE_NAME"


class TracingError(Exception):
    """Traces are requested, but cannot be exported."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where spans go.

    Attributes:
        provider: The OpenTelemetry provider of tracers.
    """

    provider: TracerProvider

    def close(self, seconds: float) -> None:
        """Send what is left, for *seconds* at most."""
        # The SDK itself waits for half a minute, and has no setting for it.
        closing = Thread(target=self.provider.shutdown, daemon=True)
        closing.start()
        closing.join(seconds)


def open_tracing(environment: Mapping[str, str], version: str) -> Tracing | None:
    """Return tracing where the environment asks for it.

    Args:
        environment: The variables of the process, which the SDK reads as well.
        version: Version of mirrorhook.

    Raises:
        TracingError: Its packages are missing, or the exporter is not OTLP.
    """
    if not _is_requested(environment):
        return None
    exporter = environment.get(EXPORTER) or "otlp"
    if exporter != "otlp":
        raise TracingError(f"{EXPORTER} is {exporter!r}: write otlp, or none")
    try:  # imported here because they are optional
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
    attributes = {"service.version": version}
    if not environment.get(NAME):
        attributes["service.name"] = "mirrorhook"
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def _is_requested(environment: Mapping[str, str]) -> bool:
    if environment.get(DISABLED, "").lower() == "true":
        return False
    exporter = environment.get(EXPORTER)
    if exporter:
        return exporter != "none"
    return any(environment.get(name) for name in ENDPOINTS)

"""Metrics, logs and traces of the webhook."""

from webhook.telemetry.logs import LOG_LEVELS, LineWriter, Log, ReviewLine, redirect_logging
from webhook.telemetry.metrics import Metrics
from webhook.telemetry.tracing import Tracing, TracingError, open_tracing

__all__ = [
    "LOG_LEVELS",
    "LineWriter",
    "Log",
    "Metrics",
    "ReviewLine",
    "Tracing",
    "TracingError",
    "open_tracing",
    "redirect_logging",
]

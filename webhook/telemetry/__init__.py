"""What the webhook tells of itself: metrics, log lines and traces."""

from webhook.telemetry.lines import LineWriter
from webhook.telemetry.log import Log, ReviewLine, take_over
from webhook.telemetry.metrics import Metrics
from webhook.telemetry.tracing import Tracing, TracingError, open_tracing

__all__ = [
    "LineWriter",
    "Log",
    "Metrics",
    "ReviewLine",
    "Tracing",
    "TracingError",
    "open_tracing",
    "take_over",
]

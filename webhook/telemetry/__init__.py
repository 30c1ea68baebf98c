"""
What the webhook tells of itself: metrics and log lines.
"""

from webhook.telemetry.lines import LineWriter
from webhook.telemetry.log import Log, LogHandler
from webhook.telemetry.metrics import Metrics

__all__ = ["LineWriter", "Log", "LogHandler", "Metrics"]

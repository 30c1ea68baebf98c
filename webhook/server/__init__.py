"""The webhook as a running process: HTTP, TLS, reloading, and the end of it."""

from typing import Final

from webhook.config import ConfigurationError
from webhook.kube import ClusterError
from webhook.server.listeners import ListenError
from webhook.server.options import Options
from webhook.server.run import run
from webhook.telemetry import TracingError
from webhook.tls import CertificateError, Place

__all__ = ["STARTUP_ERRORS", "Options", "Place", "run"]

# What can be wrong with the options, so that `run` does not come to serve.
STARTUP_ERRORS: Final = (
    ConfigurationError,
    CertificateError,
    ListenError,
    ClusterError,
    TracingError,
)

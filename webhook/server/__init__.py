"""The webhook as a running process: HTTP, TLS, reloading and shutdown."""

from typing import Final

from webhook.config import ConfigurationError
from webhook.kube import ClusterError
from webhook.server.listener import ListenError
from webhook.server.main import run
from webhook.server.settings import ServerSettings
from webhook.telemetry import TracingError
from webhook.tls import CertificateError, ManagedCertificate

__all__ = ["STARTUP_ERRORS", "ManagedCertificate", "ServerSettings", "run"]

# The errors that `run` raises before it serves.
STARTUP_ERRORS: Final = (
    ConfigurationError,
    CertificateError,
    ListenError,
    ClusterError,
    TracingError,
)

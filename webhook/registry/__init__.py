"""Ask registries whether they have images, and select candidates by the results."""

from webhook.registry.checker import (
    CheckObserver,
    ImageCheck,
    ImageChecker,
    NullObserver,
    create_checker,
)
from webhook.registry.client import RegistryClient, create_client, translate_errors
from webhook.registry.responses import (
    MEDIA_TYPES,
    CheckResult,
    CheckStatus,
    RegistryError,
    interpret_response,
    list_platforms,
    read_body,
)
from webhook.registry.selector import CandidateSelector, list_options

__all__ = [
    "MEDIA_TYPES",
    "CandidateSelector",
    "CheckObserver",
    "CheckResult",
    "CheckStatus",
    "ImageCheck",
    "ImageChecker",
    "NullObserver",
    "RegistryClient",
    "RegistryError",
    "create_checker",
    "create_client",
    "interpret_response",
    "list_options",
    "list_platforms",
    "read_body",
    "translate_errors",
]

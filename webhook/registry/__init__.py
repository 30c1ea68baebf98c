"""Ask registries whether they have images, and select candidates by the results."""

from webhook.registry.checker import (
    CheckObserver,
    ImageCheck,
    ImageChecker,
    NullObserver,
    create_checker,
)
from webhook.registry.client import RegistryClient, create_client
from webhook.registry.responses import CheckResult, CheckStatus, RegistryError
from webhook.registry.selector import CandidateSelector, list_options, select_unchecked

__all__ = [
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
    "list_options",
    "select_unchecked",
]

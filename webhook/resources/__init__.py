"""Rules in custom resources: what the rules file and all objects of a cluster are together."""

from webhook.config.spec import Kind
from webhook.resources.effective import Effective, build_effective
from webhook.resources.objects import ResourceObject, read_object
from webhook.resources.verdict import Reason, Verdict, list_conditions

__all__ = [
    "Effective",
    "Kind",
    "Reason",
    "ResourceObject",
    "Verdict",
    "build_effective",
    "list_conditions",
    "read_object",
]

"""Is it there? Asking registries for manifests, and choosing by what they say."""

from webhook.registry.answers import Answer, Finding, Presence
from webhook.registry.bodies import Stream
from webhook.registry.choice import options_of
from webhook.registry.chooser import Chooser
from webhook.registry.client import EXCHANGE_ERRORS, Call, Client, Opened, Reply, explained
from webhook.registry.manifests import MEDIA_TYPES, covered, interpreted, missing
from webhook.registry.observer import Observer, Silent
from webhook.registry.prober import Prober, client_for
from webhook.registry.question import question_for

__all__ = [
    "EXCHANGE_ERRORS",
    "MEDIA_TYPES",
    "Answer",
    "Call",
    "Chooser",
    "Client",
    "Finding",
    "Observer",
    "Opened",
    "Presence",
    "Prober",
    "Reply",
    "Silent",
    "Stream",
    "client_for",
    "covered",
    "explained",
    "interpreted",
    "missing",
    "options_of",
    "question_for",
]

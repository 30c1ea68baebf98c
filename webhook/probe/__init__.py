"""Is it there? Asking registries for manifests, and choosing by what they say."""

from webhook.probe.answers import Answer, Finding, Presence
from webhook.probe.bodies import Stream
from webhook.probe.choice import options_of
from webhook.probe.chooser import Chooser
from webhook.probe.client import EXCHANGE_ERRORS, Call, Client, Opened, Reply, explained
from webhook.probe.manifests import MEDIA_TYPES, covered, interpreted, missing
from webhook.probe.observer import Observer, Silent
from webhook.probe.prober import Prober, client_for
from webhook.probe.question import question_for

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

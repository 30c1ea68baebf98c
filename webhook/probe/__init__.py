"""
Is it there? Asking registries for manifests, and choosing by what they say.
"""

from webhook.probe.answers import Answer, Finding, Presence
from webhook.probe.choice import options_of
from webhook.probe.chooser import Chooser
from webhook.probe.observer import Observer, Silent
from webhook.probe.prober import Prober
from webhook.probe.question import question_for

__all__ = [
    "Answer",
    "Chooser",
    "Finding",
    "Observer",
    "Presence",
    "Prober",
    "Silent",
    "options_of",
    "question_for",
]

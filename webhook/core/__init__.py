"""
References, rules and what becomes of an image: pure, without I/O, clock or log.
"""

from webhook.core.decision import Candidate, Decision, Outcome
from webhook.core.errors import (
    InvalidReferenceError,
    InvalidRuleError,
    RuleCycleError,
)
from webhook.core.mapping import MirrorMap
from webhook.core.reference import ImageReference, parse_reference
from webhook.core.rules import Match, Mirror, Original, Rule, parse_match

__all__ = [
    "Candidate",
    "Decision",
    "ImageReference",
    "InvalidReferenceError",
    "InvalidRuleError",
    "Match",
    "Mirror",
    "MirrorMap",
    "Original",
    "Outcome",
    "Rule",
    "RuleCycleError",
    "parse_match",
    "parse_reference",
]

"""References, rules and what becomes of an image: pure, without I/O, clock or log."""

from webhook.core.allowlist import Allowlist
from webhook.core.decision import Candidate, Decision, Outcome
from webhook.core.errors import (
    InvalidReferenceError,
    InvalidRuleError,
    RuleCycleError,
)
from webhook.core.explanation import Bearing, Consideration, consider
from webhook.core.mapping import MirrorMap
from webhook.core.reference import ImageReference, parse_reference
from webhook.core.rules import Match, Mirror, Original, Rule, parse_match
from webhook.core.settings import (
    Availability,
    LoopLimits,
    OnUnknown,
    Platform,
    parse_platform,
)

__all__ = [
    "Allowlist",
    "Availability",
    "Bearing",
    "Candidate",
    "Consideration",
    "Decision",
    "ImageReference",
    "InvalidReferenceError",
    "InvalidRuleError",
    "LoopLimits",
    "Match",
    "Mirror",
    "MirrorMap",
    "OnUnknown",
    "Original",
    "Outcome",
    "Platform",
    "Rule",
    "RuleCycleError",
    "consider",
    "parse_match",
    "parse_platform",
    "parse_reference",
]

"""References, rules and what becomes of an image: pure, without I/O, clock or log."""

from webhook.core.allowlist import Allowlist
from webhook.core.availability import (
    Availability,
    OnUnknown,
    Platform,
    parse_platform,
)
from webhook.core.consideration import Bearing, Consideration, consider
from webhook.core.decision import Candidate, Decision, Outcome
from webhook.core.errors import (
    InvalidReferenceError,
    InvalidRuleError,
    RuleCycleError,
)
from webhook.core.loops import LoopLimits
from webhook.core.mapping import MirrorMap
from webhook.core.match import Match, parse_match
from webhook.core.mirror import Mirror
from webhook.core.reference import ImageReference, parse_reference
from webhook.core.rules import Original, Rule

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

"""Image references, rules, and the decision on an image: pure, without I/O, clock or log."""

from webhook.core.allowlist import Allowlist
from webhook.core.decision import Candidate, Decision, Outcome
from webhook.core.errors import (
    InvalidReferenceError,
    InvalidRuleError,
    RuleCycleError,
)
from webhook.core.explanation import NEXT_STEPS, MatchKind, RuleExplanation, explain_rules
from webhook.core.layers import LayeredMap, PlatformLayer
from webhook.core.mapping import MirrorMap
from webhook.core.reference import ImageReference, parse_reference
from webhook.core.rules import Match, Mirror, Original, Rule, parse_match
from webhook.core.settings import (
    Availability,
    LoopLimits,
    OnUnknown,
    Platform,
    parse_duration,
    parse_platform,
)

__all__ = [
    "NEXT_STEPS",
    "Allowlist",
    "Availability",
    "Candidate",
    "Decision",
    "ImageReference",
    "InvalidReferenceError",
    "InvalidRuleError",
    "LayeredMap",
    "LoopLimits",
    "Match",
    "MatchKind",
    "Mirror",
    "MirrorMap",
    "OnUnknown",
    "Original",
    "Outcome",
    "Platform",
    "PlatformLayer",
    "Rule",
    "RuleCycleError",
    "RuleExplanation",
    "explain_rules",
    "parse_duration",
    "parse_match",
    "parse_platform",
    "parse_reference",
]

"""Import a text, and describe what came of it."""

from __future__ import annotations

from webhook.core import MirrorMap, Original
from webhook.imports import FORMATS, RuleSet


def import_text(format_, text, origin="file"):
    rule_set = RuleSet(origin)
    FORMATS[format_](text, rule_set)
    return rule_set


def summarize(rule):
    """Return the name of a rule and its targets; ``keep``; and ``original`` unless it is last."""
    if rule.keep:
        return (rule.name, "keep")
    original = () if rule.original is Original.LAST else (f"original {rule.original}",)
    targets = (f"{each.target} flat" if each.flatten else each.target for each in rule.mirrors)
    return (rule.name, *targets, *original)


def get_lines(rule_set):
    return [warning.line for warning in rule_set.warnings]


def decide(rule_set, image):
    """Return the image that the rules make of an image, which may be the same."""
    return MirrorMap(rule_set.rules).decide(image).image


def find_candidates(rule_set, image):
    return [each.image for each in MirrorMap(rule_set.rules).decide(image).candidates]

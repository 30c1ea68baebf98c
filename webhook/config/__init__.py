"""
Rules files: read, checked as a whole, and watched for changes.
"""

from webhook.config.loading import from_profiles, load, parse
from webhook.config.problems import ConfigurationError, Problem
from webhook.config.values import Configuration, Mode, PolicySettings
from webhook.config.watching import watch

__all__ = [
    "Configuration",
    "ConfigurationError",
    "Mode",
    "PolicySettings",
    "Problem",
    "from_profiles",
    "load",
    "parse",
    "watch",
]

"""Rules files: read, and checked as a whole.

`webhook.config.watching` watches them for changes; only a server needs that, and what it
takes to be imported.
"""

from webhook.config.loading import from_profiles, load, parse
from webhook.config.problems import ConfigurationError, Problem
from webhook.config.values import Configuration, Mode, PolicySettings

__all__ = [
    "Configuration",
    "ConfigurationError",
    "Mode",
    "PolicySettings",
    "Problem",
    "from_profiles",
    "load",
    "parse",
]

"""Read and check rules files.

`webhook.config.watcher` is not imported here: only a server needs watchfiles.
"""

from webhook.config.errors import ConfigurationError, Problem
from webhook.config.loader import load_profiles, load_rules, parse_rules
from webhook.config.models import Configuration, Mode, PolicySettings

__all__ = [
    "Configuration",
    "ConfigurationError",
    "Mode",
    "PolicySettings",
    "Problem",
    "load_profiles",
    "load_rules",
    "parse_rules",
]

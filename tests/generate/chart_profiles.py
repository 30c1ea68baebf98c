"""
The profiles as data for the chart, which makes conditions of their rules.
"""

from __future__ import annotations

import json

from webhook.profiles import PROFILES


def content() -> str:
    """
    Return each profile's rules: what they match, and the targets of their mirrors.
    """
    profiles = {
        name: [
            {
                "match": str(rule.match),
                "mirrors": [mirror.target for mirror in rule.mirrors],
            }
            for rule in profile.rules
        ]
        for name, profile in PROFILES.items()
    }
    return json.dumps(profiles, indent=2) + "\n"

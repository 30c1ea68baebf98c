"""The profiles as data for the chart, which renders their rules into conditions and tables."""

from __future__ import annotations

import json

from webhook.core import Mirror
from webhook.profiles import PROFILES


def generate() -> str:
    """Return the rules of each profile: their match and the targets of their mirrors."""
    profiles = {
        name: [
            {
                "match": str(rule.match),
                "mirrors": [_to_value(mirror) for mirror in rule.mirrors],
            }
            for rule in profile.rules
        ]
        for name, profile in PROFILES.items()
    }
    return json.dumps(profiles, indent=2) + "\n"


def _to_value(mirror: Mirror) -> str | dict[str, str | bool]:
    """Return a mirror in the format of a rules file."""
    if mirror.flatten:
        return {"target": mirror.target, "flatten": True}
    return mirror.target

"""The profiles as data for the chart, which makes conditions and tables of their rules."""

from __future__ import annotations

import json

from webhook.core import Mirror
from webhook.profiles import PROFILES


def content() -> str:
    """Return each profile's rules: what they match, and the targets of their mirrors."""
    profiles = {
        name: [
            {
                "match": str(rule.match),
                "mirrors": [written(mirror) for mirror in rule.mirrors],
            }
            for rule in profile.rules
        ]
        for name, profile in PROFILES.items()
    }
    return json.dumps(profiles, indent=2) + "\n"


def written(mirror: Mirror) -> str | dict[str, str | bool]:
    """Return a mirror as a rules file has it."""
    if mirror.flatten:
        return {"target": mirror.target, "flatten": True}
    return mirror.target

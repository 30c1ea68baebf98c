"""Data of the chart for policies of the API server: CEL expressions, grammar and limits."""

from __future__ import annotations

import json

from webhook.core.mapping import MAX_VISITS
from webhook.core.reference import DOMAIN, MAX_REPOSITORY, PATH
from webhook.render.cel import (
    MESSAGE,
    NAMES_REGISTRY,
    UNMIRRORED,
    make_patch,
    make_record_variables,
    make_variables,
)
from webhook.render.policy_table import MAX_DEPTH, MAX_DOMAINS, MAX_KEY, MAX_LITERAL

MATCH = rf"^(?:[*]|(?:[*][.])?{DOMAIN}(?:/{PATH})?)$"
TARGET = rf"^{DOMAIN}(?:/{PATH})?$"


def generate() -> str:
    """Return the data as JSON. The chart itself makes the table of rules."""
    policy = {
        "variables": _list_variables(make_variables()),
        "recordVariables": _list_variables(make_record_variables()),
        "patch": make_patch(record=False),
        "patchAndRecord": make_patch(record=True),
        "unmirrored": UNMIRRORED,
        "message": MESSAGE,
        "grammar": {"match": MATCH, "target": TARGET, "namesRegistry": NAMES_REGISTRY},
        "limits": {
            "repository": MAX_REPOSITORY,
            "key": MAX_KEY,
            "depth": MAX_DEPTH,
            "domains": MAX_DOMAINS,
            "literal": MAX_LITERAL,
            "visits": MAX_VISITS,
        },
    }
    return json.dumps(policy, indent=2) + "\n"


def _list_variables(expressions: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "expression": text} for name, text in expressions.items()]

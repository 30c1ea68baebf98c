"""The JSON schema of a rules file: for editors, and for the values of the chart.

It is made of what the reader of the file itself uses: keys, choices, limits and patterns. What a
schema cannot say, such as that two rules have the same match, only the reader says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webhook.config.delegation import (
    DELEGATION_KEYS,
    EXPRESSION_KEYS,
    SELECTOR_KEYS,
    Operator,
)
from webhook.config.loader import KEYS, POLICY_KEYS, POLICY_NAME
from webhook.config.models import DEFAULT_POLICY, Mode
from webhook.config.rules import MIRROR_KEYS, RULE_KEYS, SECRET_NAME, TRUSTED_KEYS, Verify
from webhook.config.settings import (
    AVAILABILITY_KEYS,
    LOOP_KEYS,
    MAX_TIMES,
    MIN_TIMES,
    LoopMode,
    ProxyMode,
)
from webhook.core import OnUnknown, Original
from webhook.core.reference import DOMAIN, PATH
from webhook.core.settings import DURATION, PLATFORM
from webhook.profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import StrEnum

__all__ = ["SCHEMA_URL", "make_schema"]

SCHEMA_URL: Final = (
    "https://raw.githubusercontent.com/mirrorhook/mirrorhook/main/docs/rules.schema.json"
)

Schema = dict[str, Any]

MATCH: Final = rf"[*]|(?:[*][.])?{DOMAIN}(?:/{PATH})?"
# Groups of a regular expression may be anywhere in a target.
TARGET: Final = rf"{DOMAIN}(?:/{PATH})?|\S*\\[0-9]\S*"
TARGET_REGISTRY: Final = r"(?:[^/]*[.:A-Z\\][^/]*|localhost)(?:/.*)?"
TEXT: Final[Schema] = {"type": "string", "minLength": 1}
FLAG: Final[Schema] = {"type": "boolean"}


def make_schema() -> Schema:
    """Return the schema, for draft 7."""
    policy = {
        "profiles": {**_list_of("profile"), "uniqueItems": True},
        "rules": _list_of("rule"),
        "availability": _refer("availability"),
        "loops": _refer("loops"),
        "record": FLAG,
        "mode": _refer("mode"),
    }
    policies = {
        "type": "object",
        "propertyNames": {**_match_all(POLICY_NAME.pattern), "not": {"const": DEFAULT_POLICY}},
        "additionalProperties": _make_object(POLICY_KEYS, policy),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": SCHEMA_URL,
        "title": "Rules file of mirrorhook",
        **_make_object(KEYS, policy | {"policies": policies, "delegation": _refer("delegation")}),
        "minProperties": 1,
        "definitions": _make_definitions(),
    }


def _make_definitions() -> dict[str, Schema]:
    target_options = {
        "target": _refer("target"),
        "flatten": FLAG,
        "ca": TEXT,
    }
    mirror_options = target_options | {
        "pullSecrets": _list_of("secretName"),
        "allowlist": TEXT,
    }
    return {
        "profile": {"type": "string", "enum": list(PROFILES)},
        "rule": _make_rule(),
        "match": {"type": "string", **_match_all(MATCH)},
        "regex": {"type": "string"},
        "mirror": _target_or(MIRROR_KEYS, mirror_options),
        "trusted": _target_or(TRUSTED_KEYS, target_options),
        "target": {
            "type": "string",
            "allOf": [_match_all(TARGET), _match_all(TARGET_REGISTRY)],
        },
        "secretName": {"type": "string", **_match_all(SECRET_NAME.pattern)},
        "mode": _choose(Mode),
        "availability": _make_object(
            AVAILABILITY_KEYS,
            {
                "mode": {"enum": ["off", "check", False]},  # off is false to YAML 1.1
                "timeout": _refer("duration"),
                "budget": _refer("duration"),
                "ttl": _refer("duration"),
                "negativeTTL": _refer("duration"),
                "onUnknown": _choose(OnUnknown),
                "platforms": _list_of("platform"),
                "plainHTTP": _list_of("registry"),
                "credentials": {"type": "array", "items": TEXT},
                "proxy": {"enum": [*ProxyMode, False]},
            },
        ),
        "loops": _make_object(
            LOOP_KEYS,
            {
                "mode": {"enum": [*LoopMode, False]},
                "times": {"type": "integer", "minimum": MIN_TIMES, "maximum": MAX_TIMES},
                "within": _refer("duration"),
            },
        ),
        "delegation": {
            **_make_object(
                DELEGATION_KEYS,
                {"namespaces": _refer("selector"), "mirrors": _list_of("allowedMirror")},
            ),
            "required": list(DELEGATION_KEYS),
        },
        "allowedMirror": {"type": "string", **_match_all(f"(?:{MATCH})(?:/[*])?")},
        "selector": _make_object(
            SELECTOR_KEYS,
            {
                "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}},
                "matchExpressions": {
                    "type": "array",
                    "items": {
                        **_make_object(
                            EXPRESSION_KEYS,
                            {
                                "key": {"type": "string"},
                                "operator": _choose(Operator),
                                "values": {"type": "array", "items": {"type": "string"}},
                            },
                        ),
                        "required": ["key", "operator"],
                    },
                },
            },
        ),
        "duration": {"type": "string", **_match_all(DURATION.pattern)},
        "platform": {"type": "string", **_match_all(PLATFORM.pattern)},
        "registry": {"type": "string", **_match_all(DOMAIN)},
    }


def _make_rule() -> Schema:
    rule = _make_object(
        RULE_KEYS,
        {
            "match": _refer("match"),
            "regex": _refer("regex"),
            "mirrors": {**_list_of("mirror"), "minItems": 1},
            "keep": FLAG,
            "original": _choose(Original),
            "verify": _choose(Verify),
            "trusted": _refer("trusted"),
            "enforced": FLAG,
        },
    )
    is_kept = {"properties": {"keep": {"const": True}}, "required": ["keep"]}
    changes = {"required": ["mirrors"], "not": is_kept}
    keeps = is_kept | {"not": {"anyOf": [{"required": ["mirrors"]}, {"required": ["verify"]}]}}
    return {
        **rule,
        "allOf": [
            {"oneOf": [{"required": ["match"]}, {"required": ["regex"]}]},
            {"oneOf": [changes, keeps]},
        ],
        "dependencies": {"trusted": ["verify"]},
    }


def _make_object(keys: Iterable[str], values: dict[str, Schema]) -> Schema:
    """Return the schema of a mapping with *keys* only."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: values[key] for key in keys},
    }


def _target_or(keys: Iterable[str], values: dict[str, Schema]) -> Schema:
    """Return the schema of a target, or of a mapping with one."""
    return {"anyOf": [_refer("target"), {**_make_object(keys, values), "required": ["target"]}]}


def _list_of(name: str) -> Schema:
    return {"type": "array", "items": _refer(name)}


def _refer(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _choose(choices: type[StrEnum]) -> Schema:
    return {"type": "string", "enum": [str(choice) for choice in choices]}


def _match_all(pattern: str) -> Schema:
    return {"pattern": f"^(?:{pattern})$"}

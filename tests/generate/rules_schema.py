"""The JSON schema of the rules file, with the descriptions of docs/rules.md, and in the chart."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from webhook.config.loader import POLICY_KEYS
from webhook.config.schema import make_schema

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs/rules.md"
PAGE = "https://github.com/mirrorhook/mirrorhook/blob/main/docs/rules.md"
CHART_SCHEMA = ROOT / "charts/mirrorhook/values.schema.json"
ROW = re.compile(r"^\| `([\w.\[\]]+)` \|.*?\|.*?\| (.+) \|$", re.MULTILINE)
LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")

# What templates/validate.yaml says in the words of the program, the schema of the chart leaves to
# it: Helm stops at the first of the two that finds a problem.
TEXT = {"type": "string"}
SAID_BY_TEMPLATE = ("profile", "match", "regex", "target")
RULE_KEYWORDS = ("type", "additionalProperties", "properties")


def generate() -> str:
    """Return the schema that editors use."""
    return json.dumps(describe_schema(), indent=2, ensure_ascii=False) + "\n"


def describe_schema() -> dict[str, Any]:
    """Return the schema with the descriptions of the guide."""
    schema = make_schema()
    definitions = schema["definitions"]
    for path, text in ROW.findall(GUIDE.read_text()):
        description = LINK.sub(r"\1", text).replace("`", "")
        parts = path.replace("[]", "").split(".")
        if path.endswith("[]"):
            continue
        owner: Any = schema
        for part in parts[:-1]:
            owner = definitions[{"rules": "rule", "mirrors": "mirror"}.get(part, part)]
        owner = owner.get("anyOf", [owner])[-1]
        key = parts[-1]
        owner["properties"][key] = _describe(owner["properties"][key], description)
    return schema


def _describe(schema: dict[str, Any], description: str) -> dict[str, Any]:
    # Draft 7 ignores what is beside a reference.
    described = {"allOf": [schema]} if "$ref" in schema else schema
    return {"description": description, **described}


def generate_chart() -> str:
    """Return the schema of the values, with what the rules file has too regenerated."""
    schema = make_schema()
    values = json.loads(CHART_SCHEMA.read_text())
    policy = values["properties"]["policies"]["additionalProperties"]["properties"]
    schema["properties"]["profiles"].pop("uniqueItems")
    for key, value in schema["properties"].items():
        if key != "policies":
            values["properties"][key] = value
        if key in POLICY_KEYS:
            policy[key] = value
    definitions = schema["definitions"]
    definitions |= dict.fromkeys(SAID_BY_TEMPLATE, TEXT)
    definitions["delegation"].pop("required")  # {} is the default
    rule = {key: definitions["rule"][key] for key in RULE_KEYWORDS}
    rule["properties"]["mirrors"].pop("minItems")
    values["definitions"] |= definitions | {"rule": rule}
    return json.dumps(values, indent=2) + "\n"

"""The JSON schemas of what commands write with ``--output json``, and of a line of the log."""

from __future__ import annotations

import json
from typing import Any

from tests.generate import logs
from webhook.cli.copy_plan import CopyStatus
from webhook.cli.doctor.report import FindingStatus
from webhook.cli.image_states import ImageState
from webhook.core import Outcome
from webhook.profiles.model import Status
from webhook.registry import CheckStatus

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
OPTIONAL: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": "integer", "minimum": 0}
SECONDS: Schema = {"type": ["number", "null"], "minimum": 0}
ANSWER: Schema = {"enum": [*map(str, CheckStatus), None]}
OUTCOME: Schema = {"enum": list(map(str, Outcome))}


def _make_object(optional: tuple[str, ...] = (), **properties: Schema) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _make_list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


TEXTS = _make_list(TEXT)
PROBE = {"answer": ANSWER, "answerReason": OPTIONAL, "seconds": SECONDS}
PROFILE = _make_object(
    name=TEXT,
    title=TEXT,
    status={"enum": list(map(str, Status))},
    date=TEXT,
    note=TEXT,
    conditions=TEXTS,
    source=TEXT,
    rules=_make_list(
        _make_object(
            match=TEXT,
            mirrors=_make_list(_make_object(target=TEXT, flatten={"type": "boolean"})),
        )
    ),
)
COUNTS: Schema = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "propertyNames": {"enum": list(map(str, ImageState))},
        "additionalProperties": COUNT,
    },
}

# The schema of each command, by its name.
SCHEMAS: dict[str, Schema] = {
    "explain": _make_list(
        _make_object(
            image=TEXT,
            outcome=OUTCOME,
            result=TEXT,
            rule=OPTIONAL,
            profile=OPTIONAL,
            reason=TEXT,
            candidates=_make_list(_make_object(tuple(PROBE), image=TEXT, reason=TEXT, **PROBE)),
            registry=OPTIONAL,
            repository=OPTIONAL,
            tag=OPTIONAL,
            digest=OPTIONAL,
            origins=_make_list(
                _make_object(
                    rule=TEXT,
                    kind=TEXT,
                    namespace=OPTIONAL,
                    name=TEXT,
                    generation={"type": ["integer", "null"]},
                    key=OPTIONAL,
                )
            ),
        )
    ),
    "check": _make_object(
        ("probes",),
        valid={"type": "boolean"},
        policies=_make_list(
            _make_object(
                name=TEXT,
                path=TEXT,
                mode={"enum": ["rewrite", "observe"]},
                record={"type": "boolean"},
                rules=COUNT,
                ownRules=COUNT,
                profiles=TEXTS,
            )
        ),
        warnings=TEXTS,
        problems=_make_list(
            _make_object(
                origin=TEXT,
                line={"type": ["integer", "null"]},
                column={"type": ["integer", "null"]},
                path=OPTIONAL,
                message=TEXT,
            )
        ),
        probes=_make_list(
            _make_object(policy=TEXT, rule=TEXT, mirror=TEXT, image=OPTIONAL, **PROBE)
        ),
    ),
    "profiles": {"anyOf": [_make_list(PROFILE), PROFILE]},
    "audit": _make_object(
        images=_make_list(
            _make_object(
                namespace=TEXT,
                kind=TEXT,
                name=TEXT,
                container=TEXT,
                image=TEXT,
                original=TEXT,
                registry=OPTIONAL,
                state={"enum": list(map(str, ImageState))},
                result=TEXT,
                rule=OPTIONAL,
                reason=TEXT,
                file=OPTIONAL,
                pods=COUNT,
            )
        ),
        summary=_make_object(namespaces=COUNTS, registries=COUNTS),
    ),
    "rewrite": _make_list(
        _make_object(
            file=TEXT,
            line=COUNT,
            kind=OPTIONAL,
            namespace=OPTIONAL,
            object=OPTIONAL,
            name=OPTIONAL,
            image=TEXT,
            outcome=OUTCOME,
            result=TEXT,
            reason=TEXT,
        )
    ),
    "pull": _make_list(
        _make_object(
            image=TEXT,
            status={"enum": ["pulled", "failed"]},
            source=OPTIONAL,
            names=TEXTS,
            reason=TEXT,
            failures=_make_list(_make_object(source=OPTIONAL, error=TEXT)),
            notes=TEXTS,
        )
    ),
    "copy": _make_list(
        _make_object(
            image=TEXT,
            status={"enum": list(map(str, CopyStatus))},
            source=OPTIONAL,
            target=OPTIONAL,
            digest=OPTIONAL,
            reason=TEXT,
            notes=TEXTS,
            engine=TEXT,
        )
    ),
    "doctor": _make_list(
        _make_object(
            check=TEXT,
            status={"enum": list(map(str, FindingStatus))},
            message=TEXT,
            fix=OPTIONAL,
        )
    ),
}


def generate() -> str:
    """Return the schemas as one file, each under its command in ``$defs``."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "What mirrorhook writes for programs: commands with --output json, and the log",
        "$defs": SCHEMAS | {"log": logs.make_schema()},
    }
    return json.dumps(schema, indent=2) + "\n"

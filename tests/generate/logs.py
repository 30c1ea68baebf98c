"""The page on the log: every event of the webhook, with its level, its fields and its meaning."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from webhook.admission.response import ReviewOutcome
from webhook.telemetry.logs import ReviewLine

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/logs.md"
CODE = ROOT / "webhook"
EVENTS_BEGIN, EVENTS_END = "<!-- events -->\n", "<!-- /events -->\n"
FIELDS_BEGIN, FIELDS_END = "<!-- fields -->\n", "<!-- /fields -->\n"
ALWAYS = ("time", "level", "event")
LEVELS_OF_METHODS = {"info": "info", "warning": "warning", "error": "error", "failure": "error"}

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
COUNT = {"type": "integer", "minimum": 0}


@dataclass(frozen=True, slots=True)
class LogEvent:
    """An event of the log; *fields* are those besides `ALWAYS`, by name, with a blank between."""

    levels: str
    fields: str
    meaning: str
    optional: str = ""


class LogCall(NamedTuple):
    """A call that logs: its event if the code names it there, else None."""

    place: str
    event: str | None
    level: str
    fields: frozenset[str]


REVIEW_FIELDS = "policy uid namespace pod operation dryRun"
EVENTS = {
    "review": LogEvent(
        "debug info warning",
        f"{REVIEW_FIELDS} result images",
        "a Pod was reviewed: [below](#reviews)",
        optional="reason",
    ),
    "review failed, the Pod was admitted unchanged": LogEvent(
        "error", f"{REVIEW_FIELDS} traceback", "an internal error; please report it"
    ),
    "a review could not be recorded": LogEvent(
        "error", "uid traceback", "an internal error after the Pod was answered; please report it"
    ),
    "owner skipped": LogEvent(
        "warning",
        "namespace kind name pod reason",
        "the [loop detector](../rules.md#loops) stopped an owner",
    ),
    "rules loaded": LogEvent("info", "digest rules", "the first valid rules are in use"),
    "rules reloaded": LogEvent("info", "digest rules", "the rules file changed and is in use"),
    "rules": LogEvent(
        "warning", "problem", "something in the rules file that is probably a mistake"
    ),
    "rules refused, the old ones stay in use": LogEvent(
        "error", "problems", "the rules file changed and is invalid"
    ),
    "rules refused, waiting for valid ones": LogEvent(
        "error", "problems", "the same at the start: the replica is not ready until it is valid"
    ),
    "custom resources in use": LogEvent(
        "info",
        "objects refused",
        "the rules changed together with custom resources",
    ),
    "custom resource refused": LogEvent(
        "warning",
        "object generation reason problem in_use",
        "an object cannot be used; its last accepted generation stays in use",
    ),
    "custom resources not listed, the rules file works alone": LogEvent(
        "warning", "", "the API server did not answer at the start; the replica is ready without"
    ),
    "custom resources may be out of date": LogEvent(
        "warning", "problem", "the API server does not answer; what was last known stays in use"
    ),
    "custom resources are up to date again": LogEvent("info", "path", "it answers again"),
    "this replica writes the status of custom resources from now on": LogEvent(
        "info", "", "the replica holds the Lease"
    ),
    "this replica no longer writes the status of custom resources": LogEvent(
        "info", "", "it could not renew the Lease in time"
    ),
    "status of custom resources not written": LogEvent(
        "warning", "problem", "what the API server refused; it is tried again"
    ),
    "registry down": LogEvent(
        "warning", "registry reason", "a registry kept failing and is not checked for a while"
    ),
    "registry up": LogEvent("info", "registry", "it answers again"),
    "image check failed": LogEvent(
        "error", "image error", "an internal error while a registry was asked; please report it"
    ),
    "credentials not loaded": LogEvent(
        "warning", "problem", "a file with credentials for registries cannot be used"
    ),
    "certificate loaded": LogEvent("info", "names expires", "the first certificate is in use"),
    "certificate replaced": LogEvent("info", "names expires", "a new certificate is in use"),
    "certificate refused; the old one stays in use": LogEvent(
        "error", "problem", "a new certificate cannot be used"
    ),
    "certificate not ready": LogEvent(
        "warning", "reason", "why the replica has no certificate yet and gets no reviews"
    ),
    "certificate signed": LogEvent(
        "info", "reason expires ca_expires", "the replica signed a certificate for itself"
    ),
    "CAs published": LogEvent(
        "info",
        "configuration webhooks cas",
        "the API server was told which CAs to trust ([rotation](../certificates.md))",
    ),
    "Secret created with a CA": LogEvent(
        "info", "secret reason cas", "the first replica made the CA"
    ),
    "CA added to the Secret": LogEvent("info", "secret reason cas", "the next CA, before its use"),
    "CAs of the Secret changed": LogEvent(
        "info", "secret reason cas", "another CA signs from now on, or an old one was removed"
    ),
    "certificate rotation has a problem": LogEvent(
        "warning", "problem", "what the API server refused, or who else changes the bundle"
    ),
    "certificate rotation works again": LogEvent("info", "", "no problem is left"),
    "client CA loaded": LogEvent(
        "info", "names", "clients need a certificate with one of these names"
    ),
    "client CA refused; the old one stays in use": LogEvent(
        "error", "problem", "the file with the CA of the clients cannot be used"
    ),
    "connection closed": LogEvent(
        "warning", "reason client problem", "a connection was refused or closed for protection"
    ),
    "request refused": LogEvent(
        "warning", "code reason path client", "a request was answered with an error"
    ),
    "background task failed and is restarted": LogEvent(
        "error", "task traceback", "an internal error; please report it"
    ),
    "shutting down": LogEvent("info", "signal drain_seconds", "a signal ends the process"),
    "shut down": LogEvent("info", "", "the last line"),
}

# The schema of each field, and what it is. A name means the same in all events.
FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "time": (TEXT, "when, in UTC, as in RFC 3339 with milliseconds"),
    "level": ({"enum": ["debug", "info", "warning", "error"]}, "how serious it is"),
    "event": (TEXT, "one of the events above, or the words of a library"),
    "ca_expires": (TEXT, "when the CA of the certificate expires"),
    "cas": (COUNT, "how many CAs there are now"),
    "client": (TEXT, "the address of the client"),
    "code": (COUNT, "the HTTP status of the answer"),
    "configuration": (TEXT, "the MutatingWebhookConfiguration"),
    "digest": (TEXT, "the beginning of the SHA-256 of the rules file"),
    "drain_seconds": ({"type": "number"}, "for how long requests are still answered"),
    "dryRun": ({"type": "boolean"}, "the Pod will not be stored"),
    "error": (TEXT, "the type of the error, without its message, which could hold a credential"),
    "expires": (TEXT, "when the certificate expires"),
    "generation": (COUNT, "the generation of the object"),
    "image": (TEXT, "the image that was looked for"),
    "images": (
        {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "image", "outcome", "reason"],
                "properties": dict.fromkeys(
                    ["name", "image", "outcome", "reason", "rule", "result"], TEXT
                ),
            },
        },
        "what became of each image",
    ),
    "in_use": (
        {"type": ["integer", "null"]},
        "the generation of the object that is in use; null for none",
    ),
    "kind": (TEXT, "the kind of the owner, for example ReplicaSet"),
    "logger": (TEXT, "the library; only on its own lines"),
    "name": (TEXT, "the name of the owner"),
    "names": (TEXTS, "the names in the certificate, or that one may have"),
    "namespace": (TEXT, "the namespace of the Pod or of the owner"),
    "object": (TEXT, "kind, namespace and name of the object"),
    "objects": (COUNT, "how many objects there are"),
    "operation": (TEXT, "`CREATE` or `UPDATE`"),
    "path": (TEXT, "the path of the request, or of the objects"),
    "pod": (TEXT, "the Pod; its `generateName` if the API server had not chosen the name yet"),
    "policy": (TEXT, "the policy that was asked"),
    "problem": (TEXT, "what is wrong, and the fix"),
    "problems": (TEXTS, "the same, of all that is wrong with the file"),
    "reason": (TEXT, "why, in words"),
    "refused": (COUNT, "how many of them are refused"),
    "registry": (TEXT, "the host of the registry"),
    "result": ({"enum": list(map(str, ReviewOutcome))}, "what became of the review"),
    "rules": (
        {"type": "object", "additionalProperties": COUNT},
        "the number of rules of each policy",
    ),
    "secret": (TEXT, "namespace and name of the Secret"),
    "signal": (TEXT, "the signal, for example `SIGTERM`"),
    "task": (TEXT, "what failed"),
    "traceback": (TEXT, "where in the code"),
    "uid": (TEXT, "the uid of the request, as in the audit log of the API server"),
    "webhooks": (COUNT, "how many webhooks of the configuration have the bundle"),
}


def generate() -> str:
    """Return the page with its tables regenerated."""
    rows = (
        f"| `{name}` | {', '.join(each.levels.split())} | {_format_fields(each)} | {each.meaning} |"
        for name, each in EVENTS.items()
    )
    page = _replace(
        PAGE.read_text(encoding="utf-8"),
        (EVENTS_BEGIN, EVENTS_END),
        ["| event | level | fields | meaning |", "|---|---|---|---|", *rows],
    )
    fields = (f"| `{name}` | {meaning} |" for name, (_, meaning) in FIELDS.items())
    return _replace(page, (FIELDS_BEGIN, FIELDS_END), ["| field | value |", "|---|---|", *fields])


def make_schema() -> dict[str, Any]:
    """Return the JSON schema of a line."""
    events = [_make_line_schema(name, event) for name, event in EVENTS.items()]
    library = _make_object(("logger",), ("traceback",))
    return {"type": "object", "anyOf": [*events, library]}


def find_log_calls() -> Iterator[LogCall]:
    """Yield every call in the code that logs an event; redirected libraries are none."""
    for path in sorted(CODE.rglob("*.py")):
        if path.name == "logs.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS_OF_METHODS
                and ast.unparse(node.func.value).endswith("log")
            ):
                event = node.args[0]
                fields = {str(each.arg) for each in node.keywords}
                if node.func.attr == "failure":
                    fields.add("traceback")
                yield LogCall(
                    f"{path.relative_to(ROOT)}:{node.lineno}",
                    str(event.value) if isinstance(event, ast.Constant) else None,
                    LEVELS_OF_METHODS[node.func.attr],
                    frozenset(fields),
                )


def find_unlisted(line: dict[str, Any]) -> str:
    """Return how a line of a running webhook differs from what is listed; empty if it does not."""
    if "logger" in line:
        return ""
    event = EVENTS.get(line["event"])
    if event is None:
        return f"the event {line['event']!r} is not listed in tests/generate/logs.py"
    if line["level"] not in event.levels.split():
        return f"{line['event']!r} has the level {line['level']}"
    needed = {*ALWAYS, *event.fields.split()}
    found = line.keys() - set(event.optional.split())
    return "" if found == needed else f"{line['event']!r} has the fields {sorted(line)}"


def list_review_fields() -> list[str]:
    """Return the fields of the line of a review."""
    return list(ReviewLine.__struct_encode_fields__)


def _format_fields(event: LogEvent) -> str:
    return ", ".join(f"`{name}`" for name in [*event.fields.split(), *event.optional.split()])


def _replace(page: str, marks: tuple[str, str], table: list[str]) -> str:
    before, _, rest = page.partition(marks[0])
    after = rest.partition(marks[1])[2]
    return before + marks[0] + "\n" + "\n".join(table) + "\n\n" + marks[1] + after


def _make_line_schema(name: str, event: LogEvent) -> dict[str, Any]:
    schema = _make_object(tuple(event.fields.split()), tuple(event.optional.split()))
    known = {"event": {"const": name}, "level": {"enum": event.levels.split()}}
    return schema | {"properties": schema["properties"] | known}


def _make_object(fields: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    required = [*ALWAYS, *fields]
    properties = {name: FIELDS[name][0] for name in [*required, *optional]}
    return {
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }

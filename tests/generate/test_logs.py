"""The page on the log lists every event that the webhook logs.

What a running webhook logs is compared wherever a test runs one: see `serving` in
tests/server/process.py and `Release.kill` in tests/cluster/release.py.
"""

from __future__ import annotations

import ast

import jsonschema
import pytest

from tests.generate.logs import (
    ALWAYS,
    CODE,
    EVENTS,
    FIELDS,
    find_log_calls,
    find_unlisted,
    list_review_fields,
    make_schema,
)
from tests.server.conftest import review_of
from tests.server.process import RULES, serving

CALLS = list(find_log_calls())
LINE = {"time": "2026-11-30T15:40:03.512Z", "level": "info", "event": "registry up"}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.place)
def test_call_that_logs_is_listed(call):
    # Some calls get the name of the event from their caller.
    candidates = EVENTS.values() if call.event is None else [EVENTS[call.event]]
    assert (call.level, call.fields) in [
        (each.levels, frozenset(each.fields.split())) for each in candidates
    ]


def test_every_listed_event_is_logged_by_the_code():
    assert len(CALLS) >= 25
    texts = {
        node.value
        for path in CODE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
    }
    assert EVENTS.keys() - texts == set()


def test_review_is_listed_with_its_fields():
    review = EVENTS["review"]
    listed = [*ALWAYS, *review.fields.split(), *review.optional.split()]
    assert listed == list_review_fields()


def test_every_field_is_used():
    events = EVENTS.values()
    used = {field for each in events for field in f"{each.fields} {each.optional}".split()}
    assert used | {*ALWAYS, "logger"} == FIELDS.keys()


def test_lines_of_a_running_webhook_fit_their_schema(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    with serving(rules, "--log-level", "debug") as webhook:
        for image in ("nginx", "quay.io/a/b", "Not An Image"):
            webhook.review(review_of(image))
        webhook.review(review_of("nginx", operation="DELETE"))
        webhook.review(b"{")
        rules.write_text("rules: [{}]\n")
        webhook.wait_for("rules refused, the old ones stay in use")
        rules.write_text("rules: []\n")
        webhook.wait_for("rules reloaded")
    assert {line["level"] for line in webhook.logged("review")} == {"debug", "info", "warning"}
    assert webhook.log[-1]["event"] == "shut down"
    for line in webhook.log:
        jsonschema.validate(line, make_schema())


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (LINE | {"registry": "quay.io"}, ""),
        (LINE, "has the fields"),
        (LINE | {"registry": "quay.io", "more": 1}, "has the fields"),
        (LINE | {"registry": "quay.io", "level": "error"}, "has the level error"),
        (LINE | {"event": "new"}, "is not listed"),
        (LINE | {"event": "words of a library", "logger": "uvicorn.error"}, ""),
    ],
)
def test_line_that_is_not_listed_is_found(line, problem):
    assert problem in find_unlisted(line)
    assert bool(find_unlisted(line)) == bool(problem)
    assert jsonschema.Draft7Validator(make_schema()).is_valid(line) is not bool(problem)

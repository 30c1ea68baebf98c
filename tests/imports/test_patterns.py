"""Regular expressions of other tools."""

from __future__ import annotations

import pytest

from webhook.imports.patterns import UnsupportedPatternError, parse_pattern
from webhook.imports.replacements import parse_replacement


@pytest.mark.parametrize(
    ("pattern", "regexes"),
    [
        (r"^a\.io/x[:@]", [r"a\.io/(x)"]),
        (r"^a\.io/[[:lower:]/]+/x:", [r"a\.io/([a-z/]+/x)"]),
        (r"^a\.io/x(:|@)", [r"a\.io/(x)"]),
        (r"^a\.io/x(:.+)?$", [r"a\.io/(x)"]),
        (r"^a\.io/.+/x:", [r"a\.io/(.+/x)"]),
        (r"^(a\.io/x|b\.io/y)/", [r"a\.io/(x/.*)", r"b\.io/(y/.*)"]),
        (r"^[^.]+\.gcr\.io/", [r"[^.]+\.gcr\.io/(.+)", r"[^/.]+\.gcr\.io/(.+)"]),
        (r"^.+\.io/x:", [r".+\.io/(x)", r"[^/]+\.io/(x)", r"[^/]*/(.*\.io/x)"]),
    ],
)
def test_pattern_matches_names(pattern, regexes):
    assert {each.regex for each in parse_pattern(pattern)} <= {*regexes, *more(pattern)}


def more(pattern):
    """Return what a part that may match a slash gives in addition."""
    return {
        r"^[^.]+\.gcr\.io/": [r"[^/.]*/([^.]*\.gcr\.io/.*)"],
        r"^.+\.io/x:": [r"[^/]+/(.*\.io/x)"],
    }.get(pattern, [])


@pytest.mark.parametrize(
    "pattern",
    [
        ")",
        "(",
        r"^a\.io/\pL",
        "^a$b/c",
        "^(a/)+b:",
        "^[a-z/]+:",
        "^a/[a-z]$",
        "^a/x[^a-z]+$",
        "^a/x@sha256:.*",
        "^" + "(a/|b/)?" * 70 + ".*",
        "^a/" + "(:|b)" * 70,
        "^a/" + "(b|c:)?" * 40,
        "^" + "(a|b/)?" * 40,
        "^a/b++",
        "^a/[[:punct:]]",
    ],
)
def test_pattern_that_no_rule_can_express_is_refused(pattern):
    with pytest.raises(UnsupportedPatternError):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"^a\.io/(.*)", "m.io/$$1"),
        (r"^a\.io/(.*)", "m.io/$²"),
        (r"^a\.io/(.*)", "m.io/$" + "9" * 5000),
        ("^a$b/(.*)", "m.io/$1"),
        ("^a/" + "(b)" * 10 + "(.*)", "m.io/$11"),
    ],
)
def test_replacement_that_no_rule_can_express_is_refused(pattern, replacement):
    with pytest.raises(UnsupportedPatternError):
        parse_replacement(pattern, replacement)


@pytest.mark.parametrize(
    ("pattern", "replacement", "prefix", "notes"),
    [
        (r"^a\.io/x(.+)", "m.io/y$1", "", 0),
        (r"^a\.io/(.*)", "m.io$1", "", 0),
        (r"^a_b/(.*)", "m.io/$1", "", 0),
        (r"^a\.io/(.*)x(.*)", "m.io/$1$2", "", 1),
    ],
)
def test_replacement_is_a_match_only_for_a_whole_prefix(pattern, replacement, prefix, notes):
    found = parse_replacement(pattern, replacement)
    assert (found.prefix, len(found.notes)) == (prefix, notes)


def test_pattern_of_many_choices_has_few_beginnings():
    (pattern,) = parse_pattern("^a.io/" + "(x|y)" * 200 + "/")
    assert len(pattern.literals) < 200
    assert all(each.startswith(("a.io/x", "a.io/y")) for each in pattern.literals)

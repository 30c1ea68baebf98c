from __future__ import annotations

import pytest
import yaml

from webhook.config import parse_rules
from webhook.config.errors import explain_yaml_error

EMPTY = (
    "rules.yaml: the file is empty: add rules: with a list of rules, or profiles: with "
    "a list of names (`mirrorhook profiles` lists them); to change no images, write rules: []"
)
NO_YAML = "invalid YAML: "
QUOTE_STAR = (
    f"{NO_YAML}YAML reads a value that begins with * as an alias: "
    'write it in quotes, "*.example.com"'
)
QUOTE_AT = f"{NO_YAML}a value cannot begin with '@' in YAML: write it in quotes"
SINGLE_QUOTES = (
    f"{NO_YAML}a backslash in double quotes starts an escape sequence: "
    "write the value in single quotes"
)
NO_TABS = f"{NO_YAML}YAML does not allow tabs here: indent with spaces"
STRAY_COLON = (
    f"{NO_YAML}unexpected colon: check the indentation; a value that contains ': ' must be "
    "in quotes"
)
INDENTATION = f"{NO_YAML}check the indentation of this line and of the line before"
BRACKETS = f"{NO_YAML}[ or {{ is not closed, or a comma is missing"
OPEN_QUOTE = f"{NO_YAML}the quote ' is not closed"
ONE_DOCUMENT = (
    f"{NO_YAML}a second document begins here: a rules file has one; put more sets of rules "
    "under the key policies"
)
A_LIST = "the file is a list: write it under a key such as rules:"
A_VALUE = "the file is a single value: write keys such as rules: and profiles:"
TOO_DEEP = "rules.yaml: the file is nested more than 32 levels deep"


@pytest.mark.parametrize("text", ["", "\n", "# rules to come\n", "---\n", "--- # so far\n", "{}\n"])
def test_empty_file_is_refused_with_advice(refused, text):
    assert refused(text) == [EMPTY]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- match: docker.io", f"1:1: {A_LIST}"),
        ("daocloud", f"1:1: {A_VALUE}"),
        ("rules:\n- match: *", f"2:10: {QUOTE_STAR}"),
        ("rules:\n- match: *.gcr.io", f"2:10: {QUOTE_STAR}"),
        ("rules:\n- mirrors: [*gcr]", f"2:13: {QUOTE_STAR}"),
        ('rules:\n- regex: "^docker\\.io/(.*)"', f"2:18: {SINGLE_QUOTES}"),
        ("rules:\n\t- match: docker.io", f"2:1: {NO_TABS}"),
        ("rules:\n  - match: docker.io\n\t  keep: true", f"3:1: {NO_TABS}"),
        ("rules:\n- match: @docker.io", f"2:10: {QUOTE_AT}"),
        ("rules:\n- match: docker.io: yes", f"2:19: {STRAY_COLON}"),
        ("rules:\n- match: docker.io\n keep: true", f"3:2: {INDENTATION}"),
        ("rules:\n- a\nmode: rewrite\n- b", f"4:1: {INDENTATION}"),
        ("rules:\n- mirrors: [a.io, b.io\n  keep: true", f"3:7: {BRACKETS}"),
        ("rules:\n- match: 'docker.io\n", f"2:10: {OPEN_QUOTE}"),
        ("rules: []\n---\nrules: []", f"2:1: {ONE_DOCUMENT}"),
        ("%YAML 1.3\n---\nrules: []", f"1:1: {NO_YAML}found incompatible YAML document"),
    ],
)
def test_invalid_yaml_is_refused_with_advice(refused, text, problem):
    assert refused(text) == [f"rules.yaml:{problem}"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "rules: []\n# caf\xe9".encode("latin-1"),
            "rules.yaml:2:6: byte 0xe9 is not UTF-8: save the file as UTF-8",
        ),
        (
            "rules: []".encode("utf-16"),
            "rules.yaml: the file is in UTF-16: save it as UTF-8",
        ),
        (
            b"rules:\n- \x1b[31m",
            "rules.yaml:2:3: YAML does not allow the control character '\\x1b': remove it",
        ),
        (
            b"rules: []\n#" + b"x" * 1024 * 1024,
            "rules.yaml: the file is larger than 1048576 bytes",
        ),
        (
            "rules: \ud800",
            "rules.yaml:1:8: byte 0xed is not UTF-8: save the file as UTF-8",
        ),
    ],
)
def test_undecodable_file_is_refused(refused, content, problem):
    assert refused(content) == [problem]


def test_byte_order_mark_is_accepted():
    configuration = parse_rules(b"\xef\xbb\xbfprofiles: [daocloud]", "rules.yaml")

    assert configuration.policies["default"].profiles == ("daocloud",)


def test_windows_line_ends_are_accepted():
    configuration = parse_rules("rules:\r\n- match: a.io\r\n  keep: true\r\n", "rules.yaml")

    assert [str(rule) for rule in configuration.policies["default"].mirrors.rules] == ["a.io"]


@pytest.mark.parametrize(
    "text",
    [
        "rules: " + "[" * 40 + "]" * 40,
        "rules: " + "[" * 990 + "]" * 990,
        "- " * 900 + "a",
        "a: &a\n  b: {x: 1}\n" + "c: " + "{a: " * 33 + "1" + "}" * 33,
    ],
)
def test_deeply_nested_file_is_refused(refused, text):
    (line,) = refused(text)

    assert line == TOO_DEEP or "the file is a list" in line


def test_nesting_beyond_the_limit_of_the_parser_is_refused(refused):
    (line,) = refused("rules: " + "[" * 100_000)

    assert "exceeded maximum nesting depth" in line or "[ or {" in line


@pytest.mark.parametrize("text", ["rules: &a [*a]", "&a rules: &b\n- {match: *b}"])
def test_alias_to_a_value_that_contains_it_is_refused(refused, text):
    (line,) = refused(text)

    assert line.endswith("the alias refers to a value that contains it: remove it")


def test_exponential_aliases_are_refused(refused):
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(8):
        row = ", ".join([f"*a{level}"] * 10)
        levels.append(f"a{level + 1}: &a{level + 1} [{row}]")

    (line,) = refused("\n".join(levels))

    assert line.endswith("this is too large with all aliases expanded")


def test_alias_is_expanded():
    configuration = parse_rules(
        "rules:\n"
        "- {match: docker.io, mirrors: &m [a.example.com/x]}\n"
        "- {match: quay.io, mirrors: *m}\n",
        "rules.yaml",
    )

    decide = configuration.policies["default"].mirrors.decide
    assert decide("quay.io/a/b").image == "a.example.com/x/a/b"


def test_parser_error_without_a_position_is_reported_unchanged():
    problem = explain_yaml_error(yaml.YAMLError("out of luck"), "", "rules.yaml")

    assert str(problem) == "rules.yaml: invalid YAML: out of luck"


def test_unknown_parser_error_is_reported_with_its_context():
    mark = yaml.Mark("x", 4, 1, 2, None, 0)
    error = yaml.MarkedYAMLError("while dreaming", mark, "found a sheep", mark)

    problem = explain_yaml_error(error, "a: \nb: c", "rules.yaml")

    assert str(problem) == "rules.yaml:2:3: invalid YAML: while dreaming, found a sheep"

"""What holds for every format."""

from __future__ import annotations

import pytest

from tests.imports.tools import decide, import_text, summarize
from webhook.imports import FORMATS, UnreadableFileError, format_rules

IMAGESWAP_DEFAULT = """\
default::default.example.com
docker.io::hub.example.com
cool.io::
"""


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx:1", "hub.example.com/nginx:1"),
        ("bitnami/redis", "hub.example.com/bitnami/redis"),
        ("quay.io/a/b:1", "default.example.com/a/b:1"),
        ("default.example.com/a/b:1", "default.example.com/a/b:1"),
        ("cool.io/a:1", "cool.io/a:1"),
    ],
)
def test_imageswap_default_applies_to_all_other_images(image, expected):
    rule_set = import_text("imageswap", IMAGESWAP_DEFAULT)
    assert decide(rule_set, image) == expected
    assert not rule_set.warnings


UNRELATED = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{image: nginx}]}}}
"""
TOML = ("registries.conf", "hosts.toml")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "{}", UNRELATED, "kind: ConfigMap\ndata: {}\n"]
)
def test_empty_or_unrelated_file_is_refused(format_, text):
    with pytest.raises(UnreadableFileError):
        import_text(format_, text, "certs.d/a.io/hosts.toml")


@pytest.mark.parametrize(
    ("format_", "text", "problem"),
    [
        ("registries.conf", "a = 1\na = 2\n", "invalid TOML"),
        ("registries.conf", f"a = {'9' * 5000}\n", "invalid TOML"),
        ("registries.conf", f"a = {'[' * 100_000}\n", "invalid TOML"),
        ("k3s", "mirrors:\n  a.io: {}\n  a.io: {}\n", "line 3: duplicate key 'a.io'"),
        ("k3s", "mirrors: [\n", "invalid YAML"),
        ("k3s", "- *\n", "invalid YAML"),
        ("k3s", "a: &a [*a]\n", "too large or nested too deep"),
        ("k3s", "mirrors: {a.io: {endpoint: [[x]]}}", "line 1: expected a list of strings"),
        (
            "harbor-container-webhook",
            "rules:\n- replace: a.io\n  matches: [{docker.io: }]\n",
            "line 3: expected a list of strings",
        ),
        ("registry-proxy", "includeRegistries:\n-\n", "line 2: expected a list of strings"),
    ],
)
def test_invalid_file_is_refused(format_, text, problem):
    with pytest.raises(UnreadableFileError, match=problem):
        import_text(format_, text)


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        ("imageswap", "default::\n"),
        ("k3s", "mirrors: [docker.io]\n"),
        ("mutating-registry-webhook", "kind: RegistryRewriteRule\nspec: {match: a, replace: b}\n"),
    ],
)
def test_file_that_gives_no_rule_gives_a_warning(format_, text):
    rule_set = import_text(format_, text)
    assert rule_set.rules == ()
    assert [each.message for each in rule_set.warnings] == [
        "nothing imported: the file gives no rule; check the names of its keys"
    ]


def test_rules_that_form_a_cycle_are_left_out_with_a_warning():
    text = "default::\na.example.com::b.example.com\nb.example.com::a.example.com\n"
    rule_set = import_text("imageswap", text)
    assert [summarize(each)[:2] for each in rule_set.rules] == [("a.example.com", "b.example.com")]
    assert "form a cycle" in str(rule_set.warnings[0])


@pytest.mark.parametrize(
    ("format_", "text", "line"),
    [
        ("imageswap", "default::\na.io::b.io/x\nb.io::c.io\n", 2),
        (
            "registries.conf",
            (
                '[[registry]]\nlocation = "a.io"\n[[registry.mirror]]\nlocation = "b.io/x"\n'
                '[[registry]]\nlocation = "b.io"\n[[registry.mirror]]\nlocation = "c.io"\n'
            ),
            1,
        ),
    ],
)
def test_mirror_that_another_rule_sends_on_gives_a_warning(format_, text, line):
    rule_set = import_text(format_, text)
    assert [warning.line for warning in rule_set.warnings] == [line]
    assert "go on by the rule for b.io" in rule_set.warnings[0].message


def test_availability_is_written_if_the_tool_checks_it():
    rules = import_text("daemon.json", '{"registry-mirrors": ["https://m.io"]}').rules
    assert "availability" not in format_rules(rules, "title")
    text = format_rules(rules, "title", checks_availability=True)
    assert text.endswith("availability:\n  mode: check\n")
    assert "availability" not in format_rules([], "title", checks_availability=True)

"""Rendered files that are imported again give the same decisions."""

from __future__ import annotations

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from tests.core.strategies import maps, names
from tests.render.expectations import IMAGES, RULES, is_warned_of
from webhook.config import parse_rules
from webhook.core import Mirror, MirrorMap, Original, Rule, parse_reference
from webhook.imports import FORMATS, RuleSet, format_rules
from webhook.render import render_containerd, render_crio, render_docker, render_k3s

TARGETS = {
    "hosts.toml": render_containerd,
    "registries.conf": render_crio,
    "k3s": render_k3s,
    "daemon.json": render_docker,
}


def import_files(rendered, format_):
    rule_set = RuleSet("")
    for file in rendered.files:
        rule_set.origin = file.path
        FORMATS[format_](file.text, rule_set)
    return rule_set


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("format_", TARGETS)
def test_imported_render_gives_the_same_candidates_or_was_warned_about(format_, name):
    mirrors = RULES[name]
    rendered = TARGETS[format_](mirrors.rules)
    again = MirrorMap(import_files(rendered, format_).rules)
    wrong = {}
    for image in IMAGES:
        before, after = mirrors.decide(image), again.decide(image)
        if is_warned_of(rendered, image, mirrors):
            continue
        got = [candidate.image for candidate in after.candidates]
        if got != [candidate.image for candidate in before.candidates]:
            wrong[image] = after, before
    assert not wrong


def test_formatted_rules_can_be_parsed():
    rules = [
        Rule("*.gcr.io", [Mirror("m.example.com/flat", flatten=True), "m.example.com"]),
        Rule("quay.io", keep=True),
        Rule("docker.io", ["m.example.com"], original=Original.FIRST),
        Rule(regex="a'b/(.+)", mirrors=[r"m.example.com/\1"]),
        Rule("*", ["m.example.com/all"]),
    ]
    again = parse_rules(format_rules(rules, "all forms"), "again").policies["default"].mirrors
    assert again.rules == tuple(rules)


@given(maps(regex=False), st.lists(names, max_size=8))
def test_registries_conf_round_trip_keeps_decisions(mirrors, texts):
    rendered = render_crio(mirrors.rules)
    if rendered.warnings:
        reject()
    rule_set = import_files(rendered, "registries.conf")
    again = parse_rules(format_rules(rule_set.rules, "again"), "again").policies["default"].mirrors
    for text in texts:
        image = f"{parse_reference(text).name}/zz/zz:1"
        assert again.decide(image).image == mirrors.decide(image).image

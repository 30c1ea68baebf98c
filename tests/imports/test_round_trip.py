"""What was rendered and is imported again decides as before."""

from __future__ import annotations

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from tests.core.strategies import maps, names
from tests.render.expecting import IMAGES, RULES, excused
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


def imported(rendered, format_):
    rule_set = RuleSet("")
    for file in rendered.files:
        rule_set.origin = file.path
        FORMATS[format_](file.text, rule_set)
    return rule_set


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("format_", TARGETS)
def test_every_image_gets_the_same_names_or_the_difference_was_told(format_, name):
    mirrors = RULES[name]
    rendered = TARGETS[format_](mirrors.rules)
    again = MirrorMap(imported(rendered, format_).rules)
    wrong = {}
    for image in IMAGES:
        before, after = mirrors.decide(image), again.decide(image)
        if excused(rendered, image, mirrors):
            continue
        got = [str(candidate) for candidate in after.candidates]
        if got != [str(candidate) for candidate in before.candidates]:
            wrong[image] = after, before
    assert not wrong


def test_every_form_of_a_rule_is_written_so_that_it_can_be_read():
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
def test_registries_conf_gives_back_whatever_rules_it_can_hold(mirrors, texts):
    rendered = render_crio(mirrors.rules)
    if rendered.deviations:
        reject()
    rule_set = imported(rendered, "registries.conf")
    again = parse_rules(format_rules(rule_set.rules, "again"), "again").policies["default"].mirrors
    for text in texts:
        image = f"{parse_reference(text).name}/zz/zz:1"
        assert again.decide(image).image == mirrors.decide(image).image

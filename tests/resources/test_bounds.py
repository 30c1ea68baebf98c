"""What one namespace can cost."""

from __future__ import annotations

from tests.resources.objects import make_object, make_rule
from webhook.config import parse_rules
from webhook.resources import Kind, Reason, build_effective
from webhook.resources.effective import MAX_TEAM_OBJECTS, MAX_TEAM_RULES

CONFIGURATION = parse_rules("delegation: {namespaces: {}, mirrors: [team.example/*]}", "x.yaml")


def make(number, *matches):
    rules = [make_rule(each, "team.example/x") for each in matches]
    return make_object(Kind.TEAM, f"o{number:04}", {"rules": rules})


def build(objects, previous=None):
    return build_effective(CONFIGURATION, [], objects, {"shop": {}}, previous)


def test_objects_of_a_namespace_are_bounded():
    objects = [make(number, f"r{number}.example") for number in range(MAX_TEAM_OBJECTS + 3)]
    effective = build(objects)
    refused = [each for each in effective.verdicts.values() if not each.is_accepted]
    assert [each.object for each in refused] == objects[-3:]
    assert {each.reason for each in refused} == {Reason.NOT_ALLOWED}
    assert refused[0].message == (
        "metadata.namespace: a namespace cannot have more than 32 MirrorRules: remove some"
    )
    assert build(objects, effective).namespaces["shop"] is effective.namespaces["shop"]
    after = build(objects[3:], effective)
    assert all(each.is_accepted for each in after.verdicts.values())


def test_rules_of_a_namespace_are_bounded():
    size = MAX_TEAM_RULES // 10
    objects = [make(n, *(f"r{n}-{m}.example" for m in range(size))) for n in range(11)]
    effective = build(objects)
    refused = [each for each in effective.verdicts.values() if not each.is_accepted]
    assert [each.object for each in refused] == objects[-1:]
    assert "more than 1,000 rules: remove some" in refused[0].message

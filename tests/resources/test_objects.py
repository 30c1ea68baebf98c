"""Objects as they are read from JSON, compared with the same in YAML."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.resources.objects import make_object, make_rule
from webhook.config import ConfigurationError, parse_rules
from webhook.resources import Kind, build_effective
from webhook.resources.effective import MAX_TEAM_OBJECTS
from webhook.resources.files import check_objects, contains_objects, parse_objects

KEYS = (
    "rules",
    "match",
    "mirrors",
    "target",
    "keep",
    "regex",
    "mode",
    "loops",
    "times",
    "profiles",
)
WORDS = ["off", "docker.io", "*", "check", "(", "nju", "a b", "https://a.io"]
SIMPLE = st.booleans() | st.integers(0, 200) | st.sampled_from(WORDS)
ANYTHING = SIMPLE | st.none() | st.floats() | st.text(max_size=8)


def make_specs(scalars):
    """Return a strategy for values of `spec` that are mostly wrong."""
    keys = st.sampled_from(KEYS)
    flat = scalars | st.lists(scalars, max_size=2)
    mapping = st.dictionaries(keys, flat, max_size=3)
    values = flat | mapping | st.lists(mapping, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "policy": values,
            "rules": st.lists(st.dictionaries(keys, values, max_size=4), max_size=3) | values,
            "profiles": values,
            "mode": values,
            "record": values,
            "availability": st.dictionaries(
                st.sampled_from(["mode", "ttl", "platforms"]), values, max_size=3
            ),
            "loops": values,
            "nonsense": values,
        },
    )


@given(st.sampled_from(Kind), make_specs(ANYTHING))
@example(Kind.TEAM, {"rules": [{"match": "docker.io", "mirrors": ["a.io"]}]})
@example(Kind.TEAM, {"rules": [{"match": "docker.io", "mirrors": [{"target": None}]}]})
@example(Kind.PLATFORM, {"loops": {"times": 1e400}, "policy": None})
def test_object_of_any_content_is_read(kind, spec):
    each = make_object(kind, "rules", spec)
    base = parse_rules('{"delegation": {"namespaces": {}, "mirrors": ["*"]}}', "rules.yaml")
    effective = build_effective(
        base, [each] if kind is Kind.PLATFORM else [], [each] if kind is Kind.TEAM else [], {}
    )
    verdict = effective.verdicts[each.uid]
    assert verdict.message
    if each.problems:
        assert verdict.in_use is None
    if "nonsense" in spec:
        assert not verdict.is_accepted
    assert effective.find("default", "shop").mirrors.decide("nginx").reason


@given(st.sampled_from(Kind), make_specs(SIMPLE))
def test_file_has_the_problems_of_the_object(kind, spec):
    content = json.dumps(
        {
            "apiVersion": "mirrorhook.io/v1alpha1",
            "kind": str(kind),
            "metadata": {"name": "rules", "namespace": "shop"},
            "spec": spec,
        }
    ).encode()
    assert contains_objects(content)
    (parsed,) = parse_objects(content, "objects.json").objects
    each = make_object(kind, "rules", spec)
    assert [(p.path, p.message) for p in parsed.problems] == [
        (p.path, p.message) for p in each.problems
    ]
    assert (parsed.spec.rules == ()) == (each.spec.rules == ())
    assert parsed.spec.settings == each.spec.settings


def test_problem_has_the_path_of_its_value():
    rules = [make_rule("a.io", "b.io"), {"match": "c.io", "mirrors": [{"target": "d.io", "x": 1}]}]
    each = make_object(Kind.TEAM, "rules", {"rules": rules, "loops": {"times": 1}})
    assert [str(problem) for problem in each.problems] == [
        "spec.rules[1].mirrors[0].x: unknown key; known keys are target, flatten, pullSecrets",
        "spec.loops.times: expected a number from 3 to 100, got the number '1'",
    ]


def test_rules_file_is_no_file_with_objects():
    assert not contains_objects(b"rules: []")
    assert not contains_objects(b"rules: [{match: mirrorhook.io/v1alpha1, keep: true}]")
    assert contains_objects(b"a: b\n---\napiVersion: 'mirrorhook.io/v1'\n")


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (
            """
apiVersion: mirrorhook.io/v1alpha1
kind: MirrorRules
kind: MirrorRules
metadata: {name: a}
spec: {rules: []}
""",
            ["o.yaml:4:1: kind: duplicate key: line 3 has it already"],
        ),
        ("[a]", ["o.yaml:1:1: expected a mapping, got a list"]),
        (
            "kind: List\nitems: a",
            ["o.yaml:2:8: items: expected a list, got the string 'a': write [a]"],
        ),
        (
            "kind: List\nkind: List\nitems: []",
            ["o.yaml:2:1: kind: duplicate key: line 1 has it already"],
        ),
        (
            "kind: ConfigMap\ndata: {}\ndata: {}",
            ["o.yaml:3:1: data: duplicate key: line 2 has it already"],
        ),
    ],
)
def test_each_problem_of_a_file_is_reported_once(content, problems):
    with pytest.raises(ConfigurationError) as caught:
        parse_objects(content.encode(), "o.yaml")
    assert str(caught.value).splitlines() == problems


def test_object_beyond_the_bound_of_its_namespace_is_reported_with_its_line():
    content = "".join(
        f"---\napiVersion: mirrorhook.io/v1alpha1\nkind: MirrorRules\n"
        f"metadata: {{name: r{number}, namespace: shop}}\nspec: {{rules: []}}\n"
        for number in range(MAX_TEAM_OBJECTS + 1)
    )
    with pytest.raises(
        ConfigurationError, match=r"^o\.yaml:165:7: metadata\.namespace: a namespace"
    ):
        check_objects(parse_objects(content.encode(), "o.yaml"), None)


def test_file_that_is_not_yaml_is_refused_with_its_line():
    content = b"apiVersion: mirrorhook.io/v1alpha1\nkind: [\n"
    with pytest.raises(ConfigurationError, match=r"objects\.yaml:3:1: invalid YAML: "):
        parse_objects(content, "objects.yaml")


def test_example_of_every_kind_is_accepted_by_itself():
    for kind in Kind:
        content = json.dumps(
            {
                "apiVersion": "mirrorhook.io/v1alpha1",
                "kind": str(kind),
                "metadata": {"name": "rules"},
                "spec": {
                    "rules": [make_rule("docker.io", "m.io", verify="digest")],
                    "profiles": ["ustc"],
                },
            }
        ).encode()
        configuration = check_objects(parse_objects(content, "o.json"), None)
        assert "profile ustc is closed" in "".join(configuration.warnings)

from __future__ import annotations

import pytest

from webhook.config import parse_rules
from webhook.core import Mirror, Original, Rule

TAKEN = "line 2 (rules[0]) already has a rule for a.io: put the mirrors into one rule"
EMPTY = "the list is empty: add a mirror, or write keep: true instead"


def parse_rule_list(text):
    return parse_rules(text, "rules.yaml").policies["default"].mirrors.rules


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        (
            "{match: docker.io, mirrors: [harbor.example.com/hub]}",
            Rule("docker.io", ["harbor.example.com/hub"]),
        ),
        (
            "{match: index.docker.io/bitnami, mirrors: [a.io, b.example.com:5000/x]}",
            Rule("docker.io/bitnami", ["a.io", "b.example.com:5000/x"]),
        ),
        (
            "{match: registry.k8s.io, mirrors: [{target: a.io/k8s, flatten: true}]}",
            Rule("registry.k8s.io", [Mirror("a.io/k8s", flatten=True)]),
        ),
        (
            "{match: registry.k8s.io, mirrors: [{target: a.io/k8s, flatten: no}]}",
            Rule("registry.k8s.io", ["a.io/k8s"]),
        ),
        ("{match: quay.io/our-team, keep: true}", Rule("quay.io/our-team", keep=True)),
        ('{match: "*.gcr.io", mirrors: [a.io/gcr]}', Rule("*.gcr.io", ["a.io/gcr"])),
        (
            '{match: "*", mirrors: [a.io/all], original: never}',
            Rule("*", ["a.io/all"], original=Original.NEVER),
        ),
        (
            r"{regex: '^docker\.io/bitnami/(.+)$', mirrors: ['a.io/legacy/\1']}",
            Rule(regex=r"^docker\.io/bitnami/(.+)$", mirrors=[r"a.io/legacy/\1"]),
        ),
        (
            "{match: docker.io, mirrors: [a.io], keep: false, original: first}",
            Rule("docker.io", ["a.io"], original=Original.FIRST),
        ),
    ],
)
def test_rule_is_read(written, rule):
    assert parse_rule_list(f"rules:\n- {written}") == (rule,)


def test_all_problems_of_a_rule_are_reported(refused):
    lines = refused(
        r"""
rules:
- regex: '('
  match: docker.io/Foo
  original: maybe
  mirrors:
  - https://a.io
  - {target: nowhere, flatten: 1, pullSecrets: x}
""".lstrip()
    )

    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == [
        "rules[0].regex",
        "rules[0].match",
        "rules[0].original",
        "rules[0].mirrors[0]",
        "rules[0].mirrors[1].target",
        "rules[0].mirrors[1].flatten",
        "rules[0].mirrors[1].pullSecrets",
    ]


def test_problems_of_all_rules_are_reported(refused):
    lines = refused(
        "rules:\n- {match: a b, keep: true}\n- match: c.io\n- keep: true\n- {match: d.io, x: y}"
    )

    assert [line.split(":")[1] for line in lines] == ["2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ("match: docker.io", "match: docker.io", "docker.io"),
        ("match: docker.io", "match: index.docker.io", "docker.io"),
        ('match: "*"', "match: '*'", "*"),
        ('match: "*.gcr.io"', 'match: "*.gcr.io"', "*.gcr.io"),
        ("regex: a.io/b", "regex: a.io/b", "/a.io/b/"),
    ],
)
def test_duplicate_rule_is_refused_with_both_lines(refused, first, second, name):
    text = f"rules:\n- {first}\n  keep: true\n- {second}\n  mirrors: [x.io/y]\n"

    (line,) = refused(text)

    assert line == (
        f"rules.yaml:4:3: rules[1]: line 2 (rules[0]) already has a rule for {name}: "
        "put the mirrors into one rule"
    )


def test_duplicate_rule_is_reported_even_if_both_are_wrong(refused):
    lines = refused("rules:\n- {match: a.io, x: 1}\n- {match: a.io, mirrors: []}\n")

    assert [line.partition(": ")[2].partition(";")[0] for line in lines] == [
        "rules[0].x: unknown key",
        "rules[1]: " + TAKEN,
        "rules[1].mirrors: " + EMPTY,
    ]


def test_same_path_on_two_registries_is_no_duplicate():
    assert (
        len(parse_rule_list("rules: [{match: a.io/x, keep: true}, {match: b.io/x, keep: true}]"))
        == 2
    )


def test_merge_key_adds_missing_keys():
    rules = parse_rule_list(
        "rules:\n"
        "- &base {match: docker.io, mirrors: [a.io/x], original: never}\n"
        "- {<<: *base, match: quay.io}\n"
        "- {match: gcr.io, <<: [{original: first}, *base]}\n"
    )

    assert rules[1:] == (
        Rule("quay.io", ["a.io/x"], original=Original.NEVER),
        Rule("gcr.io", ["a.io/x"], original=Original.FIRST),
    )


@pytest.mark.parametrize("merged", ["7", "[{keep: true}, 7]"])
def test_merge_key_refuses_anything_but_mappings(refused, merged):
    (line,) = refused(f"rules: [{{match: a.io, keep: true, <<: {merged}}}]")

    assert line.endswith("rules[0]: << can only merge mappings")


def test_rules_that_lead_to_too_many_names_are_a_problem(refused):
    rules = "".join(
        f"- {{match: a{n}.io, mirrors: [{', '.join(f'a{n + 1}.io/p{p}' for p in range(8))}]}}\n"
        for n in range(9)
    )
    assert refused(f"rules:\n{rules}") == [
        "rules.yaml:1:1: the rules lead to too many names: use fewer mirrors in rules of a chain"
    ]

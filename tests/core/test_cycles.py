"""Rules whose mirrors lead back to each other."""

from __future__ import annotations

from itertools import pairwise

import pytest

from webhook.core import InvalidRuleError, MirrorMap, Outcome, Rule, RuleCycleError


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("a.b", "c.d"), ("c.d", "a.b")], "a.b → c.d → a.b"),
        ([("a.b", "c.d"), ("c.d", "e.f"), ("e.f", "a.b")], "a.b → c.d → e.f → a.b"),
        ([("a.b/x", "c.d"), ("c.d", "a.b/x")], "c.d → a.b/x"),
        ([("a.b", "c.d/x"), ("c.d/x", "a.b/y")], "a.b → c.d/x"),
        ([("a.b", "c.d"), ("*", "a.b")], "a.b → * → a.b"),
        ([("*.b.c", "d.e"), ("d.e", "a.b.c")], "d.e → *.b.c → d.e"),
        ([("docker.io", "m.example"), ("m.example", "docker.io/library")], "m.example"),
        ([("*", "h.example"), ("*.example", "other.host")], "*.example"),
        ([("a.b/x/y", "a.b/z"), ("a.b", "c.d"), ("c.d", "a.b")], "a.b → c.d → a.b"),
    ],
)
def test_cycle_is_rejected_with_its_rules(pairs, expected):
    with pytest.raises(RuleCycleError) as caught:
        MirrorMap([Rule(match, [target]) for match, target in pairs])
    message = str(caught.value)
    assert "the rules form a cycle: " in message
    assert "remove one of them, or give one `keep: true`" in message
    for name in caught.value.names:
        assert name in message
    assert any(part in message for part in (expected, *expected.split(" → ")))


@pytest.mark.parametrize(
    "pairs",
    [
        [("a.b", "a.b/cache")],
        [("docker.io/bitnami", "docker.io/bitnamilegacy")],
        [("a.b", "c.d"), ("c.d/x", "e.f")],
        [("*", "h.example/cache"), ("docker.io", "h.example/hub")],
        [("a.b/x", "a.b/y"), ("a.b/y", "a.b/z"), ("a.b", "c.d")],
    ],
)
def test_chain_that_ends_is_valid(pairs):
    assert MirrorMap([Rule(match, [target]) for match, target in pairs]).rules


def test_row_of_long_targets_is_valid():
    hosts = [f"h{n}.example" for n in range(6)]
    rules = [Rule(host, [f"{following}/{'x' * 200}"]) for host, following in pairwise(hosts)]
    decision = MirrorMap(rules).decide("h0.example/a")
    assert decision.image == f"h1.example/{'x' * 200}/a"


def test_name_that_grows_by_a_detour_is_a_cycle():
    rules = [
        Rule("docker.io/a", ["docker.io/b"]),
        Rule("*", ["docker.io/library"]),
        Rule("docker.io", ["m.example/a", "m.example"]),
    ]
    with pytest.raises(RuleCycleError):
        MirrorMap([*rules, Rule("m.example", ["docker.io/a"])])


def test_keep_rule_ends_cycle():
    MirrorMap([Rule("a.b", ["c.d/x"]), Rule("c.d", ["a.b"]), Rule("c.d/x", keep=True)])


def test_cycle_through_one_of_several_mirrors_is_rejected():
    with pytest.raises(RuleCycleError):
        MirrorMap([Rule("a.b", ["m.example", "c.d"]), Rule("c.d", ["n.example", "a.b"])])


@pytest.mark.parametrize(
    "rules",
    [
        [
            Rule(regex=r"a\.b/(.+)", mirrors=[r"c.d/\1"]),
            Rule(regex=r"c\.d/(.+)", mirrors=[r"a.b/\1"]),
        ],
        [Rule(regex=r"a\.b/(.+)", mirrors=[r"c.d/\1"]), Rule("c.d", ["a.b"])],
        [Rule(regex=r"a\.b/(.*)x(.*)", mirrors=[r"a.b/\1y\2"]), Rule("a.b", ["c.d"])],
    ],
)
def test_regex_cycle_leaves_image_unchanged(rules):
    decision = MirrorMap(rules[:2]).decide("a.b/qxq")
    if decision.candidate is None:
        assert decision.outcome is Outcome.UNAVAILABLE
        assert decision.image == "a.b/qxq"
        assert "the rules form a cycle: a.b/qxq → c.d/qxq" in decision.reason
    else:
        assert MirrorMap(rules).decide(decision.image).image == decision.image


def test_regex_that_makes_ever_longer_names_leaves_image_unchanged():
    rules = [
        Rule(regex=r"a\.b/(.+)", mirrors=[r"c.d/\1/x"]),
        Rule(regex=r"c\.d/(.+)", mirrors=[r"a.b/\1/x"]),
    ]
    decision = MirrorMap(rules).decide("a.b/q")
    assert decision.image == "a.b/q"
    assert decision.outcome is Outcome.UNAVAILABLE


def test_cycle_of_thousands_of_rules_is_found():
    rules = [Rule(f"r{n}.example", [f"r{n + 1}.example"]) for n in range(3_000)]
    assert MirrorMap(rules[:10]).decide("r0.example/a").image == "r10.example/a"
    with pytest.raises(RuleCycleError):
        MirrorMap([*rules, Rule("r3000.example", ["r0.example"])])


def test_number_of_paths_through_rules_is_bounded():
    rules = [
        Rule(regex=rf"m\.io/{one}(.)", mirrors=[f"m.io/{other}{n}" for n in range(8)])
        for one, other in ("ab", "ba")
    ]
    decision = MirrorMap(rules).decide("m.io/a0")  # it has billions of paths
    assert decision.outcome is Outcome.UNAVAILABLE
    diamonds = [
        rule
        for step in range(7)
        for rule in (
            Rule(f"a{step}.io", [f"b{step}-{n}.io" for n in range(8)]),
            *(Rule(f"b{step}-{n}.io", [f"a{step + 1}.io"]) for n in range(8)),
        )
    ]
    assert MirrorMap(diamonds).decide("a0.io/x").image == "a7.io/x"  # it has two million paths


def test_number_of_names_that_rules_lead_to_is_bounded():
    rules = [Rule(f"a{n}.io", [f"a{n + 1}.io/p{p}" for p in range(8)]) for n in range(9)]
    with pytest.raises(InvalidRuleError, match="the rules lead to too many names"):
        MirrorMap(rules)
    assert MirrorMap(rules[:3]).decide("a0.io/x").image == "a3.io/p0/p0/p0/x"

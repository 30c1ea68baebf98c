"""The prefix table agrees with the rules."""

from __future__ import annotations

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.core.strategies import maps, mirrors, names, prefixes
from tests.render.expectations import is_below
from webhook.core import (
    Allowlist,
    InvalidReferenceError,
    InvalidRuleError,
    Mirror,
    MirrorMap,
    Rule,
    parse_reference,
)
from webhook.render.prefix_table import make_prefix_table


def entry_for(entries, reference):
    """Return the entry with the longest prefix; an exact registry precedes a wildcard."""
    above = [
        entry
        for entry in entries
        if entry.registry != "*" and is_below(reference.name, entry.prefix)
    ]
    everything = next((entry for entry in entries if entry.registry == "*"), None)
    return max(
        above,
        key=lambda entry: (len(entry.path), not entry.is_wildcard, len(entry.registry)),
        default=everything,
    )


def named(target, entry, reference):
    """Return the image as a target names it."""
    rest = reference.repository.removeprefix(entry.path).removeprefix("/")
    if target.keeps_prefix:
        rest = reference.name
    elif target.flatten:
        rest = reference.repository.rpartition("/")[2]
    name = f"{target.name}/{rest}" if rest else target.name
    if "/" not in name:
        return None
    try:
        return str(parse_reference(name))
    except InvalidReferenceError:  # no candidate, such as a host with a port in a path
        return None


@given(maps(regex=False), st.lists(names, max_size=8))
def test_table_sends_names_where_the_rules_do(mirrors, texts):
    entries = make_prefix_table(mirrors.rules)
    for text in texts:
        # No rule mentions it, so it is below a prefix and not a prefix itself.
        reference = parse_reference(f"{parse_reference(text).name}/zz/zz")
        decision = mirrors.decide(str(reference))
        rule = decision.rule if decision.candidates else None
        if rule is not None and rule.match is not None and rule.match.is_catch_all:
            continue
        entry = entry_for(entries, reference)
        targets = entry.targets if entry else ()
        got = [named(target, entry, reference) for target in targets]
        assert list(dict.fromkeys(got)) == [each.image for each in decision.candidates]


@given(maps(regex=False), mirrors, st.lists(names, min_size=1, max_size=8))
def test_complete_table_sends_names_of_any_registry_where_the_rules_do(others, everywhere, texts):
    rules = [rule for rule in others.rules if not rule.match.is_catch_all]
    try:
        mirrors = MirrorMap([*rules, Rule("*", everywhere)])
    except InvalidRuleError:
        reject()
    try:
        entries = make_prefix_table(mirrors.rules, complete=True)
    except InvalidRuleError:
        reject()  # rules that no table can express
    for text in texts:
        reference = parse_reference(f"{parse_reference(text).name}/zz/zz")
        entry = entry_for(entries, reference)
        targets = entry.targets if entry else ()
        got = [named(target, entry, reference) for target in targets]
        got = [name for name in got if name is not None]
        wanted = [each.image for each in mirrors.decide(str(reference)).candidates]
        # The others are the names on the way, for those that are too long at the end of it.
        assert [name for name in dict.fromkeys(got) if name in wanted] == wanted
        assert got[:1] == wanted[:1]


CHAINED = st.lists(
    st.builds(
        Rule,
        prefixes | st.just("*.example/b"),
        st.lists(st.builds(Mirror, prefixes, flatten=st.booleans()), min_size=1, max_size=2),
    ),
    max_size=4,
    unique_by=lambda rule: rule.match,
)


@given(CHAINED)
@settings(max_examples=settings().max_examples * 10)  # only rules of some forms differ
def test_complete_table_sends_the_name_of_a_prefix_where_the_rules_do(rules):
    try:
        mirrors = MirrorMap(rules)
        entries = make_prefix_table(mirrors.rules, complete=True)
    except InvalidRuleError:
        reject()  # rules that no table can express
    prefixes = [entry.prefix for entry in entries]
    prefixes += [str(rule.match) for rule in mirrors.rules]
    prefixes += [mirror.target for rule in mirrors.rules for mirror in rule.mirrors]
    for prefix in prefixes:
        if "/" not in prefix:
            continue
        reference = parse_reference(prefix.replace("*", "zz"))
        entry = entry_for(entries, reference)
        got = [named(target, entry, reference) for target in (entry.targets if entry else ())]
        wanted = [each.image for each in mirrors.decide(str(reference)).candidates]
        assert [name for name in got if name is not None][:1] == wanted[:1]


@given(maps(regex=False))
def test_entry_differs_from_the_next_shorter_one(mirrors):
    entries = make_prefix_table(mirrors.rules)
    for entry in entries:
        others = [other for other in entries if other is not entry]
        below = parse_reference(f"{entry.prefix.replace('*', 'zz')}/zz/zz")
        above = entry_for(others, below)
        if above is None:
            assert entry.targets
        else:
            got = [named(target, entry, below) for target in entry.targets]
            assert (
                got != [named(target, above, below) for target in above.targets]
                or entry.original is not above.original
            )


def test_chained_rules_below_a_prefix_have_their_own_entries():
    rules = [
        Rule("docker.io", ["a.example.com/hub"]),
        Rule("a.example.com/hub/library", ["b.example.com/lib"]),
        Rule("a.example.com/hub/bitnami", keep=True),
    ]
    table = {entry.prefix: entry.targets for entry in make_prefix_table(MirrorMap(rules).rules)}
    assert {prefix: [p.name for p in targets] for prefix, targets in table.items()} == {
        "a.example.com/hub/library": ["b.example.com/lib"],
        "docker.io": ["a.example.com/hub"],
        "docker.io/library": ["b.example.com/lib"],
    }


def test_target_of_a_flattening_mirror_is_marked():
    (entry,) = make_prefix_table([Rule("quay.io", [Mirror("a.example.com/x", flatten=True)])])
    assert [(target.name, target.flatten) for target in entry.targets] == [
        ("a.example.com/x", True)
    ]


HUB = Rule("quay.io", ["docker.io"])
FLAT = Rule("gcr.io", [Mirror("m.example", flatten=True)])
LONG = Rule("ghcr.io", ["gcr.io/a"])


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ([FLAT, Rule("m.example/b", ["z.example/q"])], "another rule treats m.example/b"),
        (
            [FLAT, LONG, Rule("m.example/b", ["z.example"])],
            "gcr.io flattens images to m.ex",
        ),
        ([HUB, Rule("docker.io", ["z.example"])], "quay.io leads to docker.io, where"),
        ([HUB, Rule("docker.io/library/x", ["z.example"])], "quay.io leads to docker.io"),
        (
            [Rule("gcr.io/a", ["quay.io"]), Rule("quay.io", ["m.example/hub"])],
            "treats gcr.io/a itself",
        ),
        (
            [
                Rule("gcr.io/a", ["b.example/c"]),
                Rule("b.example", [Mirror("m.example/a/path/that/is/long/enough", flatten=True)]),
            ],
            "treats gcr.io/a itself",
        ),
        ([Rule("gcr.io/a", ["quay.io/b"]), Rule("quay.io", ["m.example/hub"])], ""),
        ([FLAT, Rule("docker.io", ["m.example/hub"])], ""),
        ([FLAT, Rule("m.example/b/c", ["z.example/q"])], ""),
        ([HUB, Rule("docker.io/library/x", keep=True)], ""),
    ],
)
def test_complete_table_refuses_rules_that_treat_names_below_a_prefix_differently(rules, problem):
    assert MirrorMap(rules)
    assert make_prefix_table(rules)
    if not problem:
        assert make_prefix_table(rules, complete=True)
        return
    with pytest.raises(InvalidRuleError, match=problem):
        make_prefix_table(rules, complete=True)


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("listed", ["quay.io/team/app", "quay.io/*/*", "**", "docker.io/**"])
def test_mirror_with_an_allowlist_is_in_no_table(listed, complete):
    mirror = Mirror("m.example/x", allowlist=Allowlist(listed, "list.txt"))
    rules = [Rule("quay.io/team/app", [mirror]), Rule("quay.io", [mirror, "n.example"])]
    entries = make_prefix_table(rules, complete=complete)
    found = {entry.prefix: [target.name for target in entry.targets] for entry in entries}
    assert found == {"quay.io": ["n.example"], "quay.io/team/app": []}

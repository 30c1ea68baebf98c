"""The chart and the command make the same table from the same rules."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chart.rendering import CHART, HELM_VERSIONS, run_helm
from tests.core.strategies import HOSTS, matches, paths, prefixes
from webhook.config import ConfigurationError, parse_rules
from webhook.core import InvalidRuleError
from webhook.profiles import PROFILES
from webhook.render.policy_table import make_policy_table
from webhook.render.prefix_table import make_prefix_table

targets = st.builds("{}{}".format, st.sampled_from(HOSTS), paths.map("/{}".format) | st.just(""))
mirrors = targets | st.fixed_dictionaries({"target": targets, "flatten": st.booleans()})
rules = st.fixed_dictionaries(
    {"match": matches, "mirrors": st.lists(mirrors, min_size=1, max_size=2)}
) | st.fixed_dictionaries({"match": matches, "keep": st.just(True)})
chained = st.fixed_dictionaries(
    {
        "match": prefixes | st.just("*.example/b"),
        "mirrors": st.lists(
            st.fixed_dictionaries({"target": prefixes, "flatten": st.booleans()}),
            min_size=1,
            max_size=3,
        ),
    }
)
profiles = st.lists(st.sampled_from(sorted(PROFILES)), max_size=2, unique=True)


def table_of_command(values):
    """The table, or None if the rules are refused."""
    try:
        read = parse_rules(json.dumps(values), "rules.yaml").policies["default"].mirrors
        return make_policy_table(make_prefix_table(read.rules, complete=True))
    except (ConfigurationError, InvalidRuleError):
        return None


def table_of_chart(values, helm="4.3"):
    """The table rendered by Helm, or None if it refuses the rules."""
    command = ("template", "mirrorhook", CHART, "--namespace", "mirrorhook")
    given_ = {"rewriter": "policy", **values}
    done = run_helm(*command, version=helm, values=given_)
    if done.returncode:
        assert "error calling include" not in done.stderr, done.stderr
        return None
    objects = yaml.load_all(done.stdout, Loader=yaml.CSafeLoader)
    (policy,) = (item for item in objects if item["kind"] == "MutatingAdmissionPolicy")
    return read_literal(policy["spec"]["variables"][0]["expression"])


def read_literal(text):
    """Parse the CEL literal of a table, in which no string contains a quote."""
    return json.loads(text.replace("'", '"'))


@given(st.lists(rules, max_size=6) | st.lists(chained, max_size=4))
def test_table_equals_that_of_the_command_for_any_rules(drawn):
    values = {"rules": drawn}
    assert table_of_chart(values) == table_of_command(values)


@given(st.lists(rules, max_size=2), profiles)
@settings(max_examples=settings().max_examples // 2)  # most cases are covered above
def test_table_equals_that_of_the_command_with_profiles(drawn, named):
    values = {"rules": drawn, "profiles": named}
    assert table_of_chart(values) == table_of_command(values)


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_table_equals_that_of_the_command_with_many_rules(helm):
    many = [
        {"match": f"r{n}.example.com/team", "mirrors": [f"m.example.com/r{n}"]} for n in range(400)
    ]
    values = {"rules": many, "profiles": sorted(PROFILES)}
    table = table_of_chart(values, helm)
    assert table
    assert table == table_of_command(values)


CHAINS = {
    "a move within Docker Hub": [
        {"match": "docker.io/bitnami", "mirrors": ["docker.io/bitnamilegacy"]},
        {"match": "docker.io", "mirrors": ["h.example.com/hub", "m.example.com"]},
    ],
    "everything behind one": [
        {"match": "*", "mirrors": ["cache.example.com/all"]},
        {"match": "docker.io", "mirrors": ["h.example.com/hub"]},
        {"match": "cache.example.com/all/quay.io/a", "mirrors": ["q.example.com/b"]},
        {"match": "*.gcr.io", "mirrors": ["cache.example.com/gcr"]},
        {"match": "eu.gcr.io", "keep": True},
    ],
    "a mirror within its own match": [
        {"match": "h.example.com", "mirrors": ["h.example.com/cache"]},
        {"match": "*.example.com/a", "mirrors": ["[fd00::1]:5000/a"]},
    ],
    "a long path on the way": [
        {"match": "gcr.io", "mirrors": ["quay.io/longer/path"]},
        {"match": "quay.io/longer/path", "mirrors": ["m.example.com"]},
        {"match": "ghcr.io", "mirrors": ["gcr.io/a"]},
    ],
    "a name that cannot be in a path": [
        {"match": "docker.io/a", "mirrors": ["localhost:5000"]},
        {"match": "*", "mirrors": ["gcr.io"]},
    ],
    "steps that diverge": [
        {"match": "docker.io", "mirrors": ["a.example.com/hub"]},
        {"match": "a.example.com/hub/library", "mirrors": ["b.example.com/lib"]},
        {"match": "a.example.com/hub/bitnami", "keep": True},
    ],
}


@pytest.mark.parametrize("name", CHAINS)
def test_table_resolves_rules_that_lead_to_each_other(name):
    values = {"rules": CHAINS[name]}
    table = table_of_chart(values)
    assert table
    assert table == table_of_command(values)


def test_table_refuses_many_cycles_without_following_all():
    hosts = [f"r{n}.example.com" for n in range(8)]
    circle = [
        {"match": host, "mirrors": [other for other in hosts if other != host]} for host in hosts
    ]
    values = {"rules": circle}
    assert table_of_chart(values) is None
    assert table_of_command(values) is None


def test_table_follows_some_of_the_paths_through_many_mirrors():
    rows = [[f"r{row}.example.com/{n}" for n in range(8)] for row in range(5)]
    steps = [{"match": match, "mirrors": after} for row, after in pairwise(rows) for match in row]
    values = {"rules": steps}
    table = table_of_chart(values)
    assert table
    assert table == table_of_command(values)

"""The expressions of a policy, by Google's CEL, against what the rules say.

What that CEL does not have, comprehensions with two variables, makes the patch and the
list of unmirrored images: these are left to an API server (tests/cluster/test_policy.py).
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from tests.core.strategies import maps, texts
from tests.render.evaluating import ENVIRONMENT, Evaluated, objects, rendered
from tests.render.expecting import EXTRA, IMAGES, RULES
from webhook.core import InvalidRuleError, Outcome, Rule
from webhook.render import (
    ApiVersion,
    PolicyOptions,
    Selection,
    WarningCode,
    render_enforcement,
    render_policy,
)
from webhook.render.policy_table import make_policy_table
from webhook.render.prefix_table import make_prefix_table

# This CEL compiles each regular expression anew for each image, which takes its time; all
# of them are asked for by test_agreement.py.
SOME_IMAGES = (*EXTRA, *IMAGES[len(EXTRA) :: 8])


def wanted(mirrors, image):
    """What a policy makes of an image; nothing where it stays."""
    decision = mirrors.decide(image)
    return decision.image if decision.outcome is Outcome.REWRITTEN else ""


@pytest.mark.parametrize("name", [name for name in RULES if name != "regex"])
def test_a_policy_gives_each_image_the_name_that_the_rules_give_it(name):
    mirrors = RULES[name]
    got = Evaluated(mirrors.rules).images(SOME_IMAGES)
    assert dict(zip(SOME_IMAGES, got, strict=True)) == {
        image: wanted(mirrors, image) for image in SOME_IMAGES
    }


@given(maps(regex=False), st.lists(texts, min_size=1, max_size=5))
def test_a_policy_agrees_whatever_rules_and_texts(mirrors, given_texts):
    images = [text for text in given_texts if text.isascii()]
    try:
        evaluated = Evaluated(mirrors.rules)
    except InvalidRuleError:
        reject()  # rules that interlock to longer paths than CEL can bear
    got = evaluated.images(images)
    assert got == [wanted(mirrors, image) for image in images]


def test_what_was_rewritten_is_left_alone_by_the_same_policy():
    for name in ("moves", "everything", "all"):
        evaluated = Evaluated(RULES[name].rules)
        once = [new for new in evaluated.images(EXTRA) if new]
        assert once
        assert not any(evaluated.images(once))


A = {"name": "a", "image": "nginx", "imagePullPolicy": "Always"}
B = {"name": "b", "image": "redis"}
NEVER = {"name": "n", "image": "local", "imagePullPolicy": "Never"}
VOLUME = {"name": "v", "image": {"reference": "data:1", "pullPolicy": "Always"}}
EMPTY = {"name": "w", "emptyDir": {}}
LOCAL = {"name": "x", "image": {"reference": "data:2", "pullPolicy": "Never"}}


def pod(**spec):
    return {"metadata": {"name": "p"}, "spec": {"containers": [A], **spec}}


@pytest.mark.parametrize(
    ("new", "old", "subresource", "slots"),
    [
        (pod(), None, "", ["nginx"]),
        (
            pod(initContainers=[B, NEVER], volumes=[EMPTY, VOLUME, LOCAL]),
            None,
            "",
            ["nginx", "redis", "", "", "data:1", ""],
        ),
        (pod(initContainers=[{"name": "empty"}]), None, "", ["nginx", ""]),
        (pod(), pod(), "", [""]),
        (pod(), pod(containers=[{**A, "image": "old"}]), "", ["nginx"]),
        (pod(containers=[A, B]), pod(containers=[B, A]), "", ["", ""]),
        (pod(initContainers=[A]), pod(), "", ["", "nginx"]),
        (pod(volumes=[VOLUME]), pod(containers=[B]), "", ["nginx", ""]),
        (pod(ephemeralContainers=[B]), pod(), "ephemeralcontainers", ["", "redis"]),
        (
            pod(ephemeralContainers=[B, {"name": "c", "image": "x"}]),
            pod(ephemeralContainers=[{**B, "image": "old"}]),
            "ephemeralcontainers",
            ["", "", "x"],
        ),
    ],
)
def test_only_the_images_that_a_request_brings_in_are_looked_at(new, old, subresource, slots):
    assert Evaluated(RULES["paths"].rules).slots(new, old, subresource) == slots


def test_a_policy_and_its_binding_go_by_one_name():
    policy, binding = objects(rendered(RULES["paths"].rules, name="team-a"))
    assert policy["apiVersion"] == "admissionregistration.k8s.io/v1"
    assert policy["spec"]["failurePolicy"] == "Ignore"
    assert [policy["metadata"]["name"], binding["spec"]["policyName"]] == ["team-a"] * 2
    assert binding["spec"]["matchResources"]["namespaceSelector"] == {
        "matchLabels": {"mirrorhook.io/rewrite": "enabled"}
    }


def test_the_version_before_1_36_and_all_namespaces_can_be_asked_for():
    policy, binding = objects(
        rendered(RULES["paths"].rules, api_version=ApiVersion.V1BETA1, selection=Selection.ALL)
    )
    versions = {each["apiVersion"] for each in (policy, binding)}
    assert versions == {"admissionregistration.k8s.io/v1beta1"}
    selector = binding["spec"]["matchResources"]["namespaceSelector"]
    assert [each["operator"] for each in selector["matchExpressions"]] == ["NotIn"] * 2


CONFIG_MAP_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


@pytest.mark.parametrize(
    ("render", "missing"), [(render_policy, "Allow"), (render_enforcement, "Deny")]
)
@pytest.mark.parametrize("name", ["moves", "everything", "all"])
def test_rules_in_a_config_map_are_the_table_that_is_in_the_policy_otherwise(render, missing, name):
    rules = RULES[name].rules
    inside, _ = objects(render(rules, PolicyOptions(name="team-a")))
    options = PolicyOptions(name="team-a", params="mirrors")
    policy, binding, parameter = objects(render(rules, options))
    assert policy["spec"].pop("paramKind") == {"apiVersion": "v1", "kind": "ConfigMap"}
    reference = {"name": "team-a-rules", "namespace": "mirrors"}
    assert parameter["metadata"] == reference
    assert binding["spec"]["paramRef"] == reference | {"parameterNotFoundAction": missing}
    table = policy["spec"]["variables"][0].pop("expression")
    literal = inside["spec"]["variables"][0].pop("expression")
    assert policy == inside
    assert evaluated(table, {"params": parameter}) == evaluated(literal, {})


def evaluated(text, data):
    return ENVIRONMENT.compile(text).eval(data=data).plain_value()


@given(maps(regex=False))
def test_each_prefix_has_a_key_of_its_own_that_a_config_map_takes(mirrors):
    try:
        entries = make_prefix_table(mirrors.rules, complete=True)
        table = make_policy_table(entries)
    except InvalidRuleError:
        reject()  # as above
    assert all(CONFIG_MAP_KEY.fullmatch(key) for key in table)
    assert not any(key.startswith("..") for key in table)
    assert len(table) == len({entry.prefix for entry in entries}) + 2


@pytest.mark.parametrize(("warn", "actions"), [(False, ["Deny"]), (True, ["Warn", "Audit"])])
def test_an_enforcement_refuses_or_warns_and_no_pod_opts_out(warn, actions):
    rules = RULES["paths"].rules
    policy, binding = objects(render_enforcement(rules, PolicyOptions(warn=warn)))
    conditions = [each["name"] for each in policy["spec"]["matchConditions"]]
    assert conditions == ["is-no-mirror-pod", "has-new-containers"]
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"]["validationActions"] == actions


def test_a_regex_is_told_as_it_is_left_out():
    (warning,) = rendered(RULES["regex"].rules).warnings
    assert (warning.code, warning.misleads) == (WarningCode.REGEX, True)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        (
            [Rule(f"r{n}.example.com/{'a' * 150}", ["mirror.example.com"]) for n in range(600)],
            "characters of CEL, and the API server allows about 90000",
        ),
        (
            [Rule("a.example.com/" + "/".join("x" * 17), ["mirror.example.com"])],
            "a rule has a path of 17 parts",
        ),
        (
            [Rule("a.example.com/" + "x" * 240, ["mirror.example.com"])],
            "makes a key of 255 characters, and a ConfigMap allows 253",
        ),
        (
            [Rule(f"*.r{n}.example.com", ["mirror.example.com"]) for n in range(60)],
            "the rules have wildcards for 60 domains",
        ),
    ],
)
def test_rules_beyond_the_budget_are_refused_with_what_to_do(rules, problem):
    with pytest.raises(InvalidRuleError, match=problem) as refused:
        rendered(rules)
    assert "use the webhook" in str(refused.value)

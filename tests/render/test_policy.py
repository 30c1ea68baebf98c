"""The expressions of a policy, evaluated by Google's CEL, against the rules.

It has no comprehensions with two variables, which the patch and the list of unmirrored
images need; a real API server tests these (tests/cluster/test_policy.py).
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from tests.core.strategies import maps, texts
from tests.render.expectations import EXTRA, IMAGES, RULES
from tests.render.policy_evaluator import ENVIRONMENT, PolicyEvaluator, objects, rendered
from webhook.core import InvalidRuleError, Mirror, MirrorMap, Outcome, Rule
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

# This CEL is slow, as it compiles each regular expression again for each image;
# test_agreement.py has all images.
SOME_IMAGES = (*EXTRA, *IMAGES[len(EXTRA) :: 8])


def wanted(mirrors, image):
    """Return the image that a policy should write; empty if it is unchanged."""
    decision = mirrors.decide(image)
    return decision.image if decision.outcome is Outcome.REWRITTEN else ""


@pytest.mark.parametrize("name", [name for name in RULES if name != "regex"])
def test_policy_renames_images_as_the_rules_do(name):
    mirrors = RULES[name]
    got = PolicyEvaluator(mirrors.rules).images(SOME_IMAGES)
    assert dict(zip(SOME_IMAGES, got, strict=True)) == {
        image: wanted(mirrors, image) for image in SOME_IMAGES
    }


@given(maps(regex=False), st.lists(texts, min_size=1, max_size=5))
def test_policy_agrees_with_any_rules_and_texts(mirrors, given_texts):
    images = [text for text in given_texts if text.isascii()]
    try:
        evaluated = PolicyEvaluator(mirrors.rules)
    except InvalidRuleError:
        reject()  # rules with longer paths than a policy allows
    got = evaluated.images(images)
    assert got == [wanted(mirrors, image) for image in images]


LABEL = "a" * 63
ODD_IMAGES = (
    "a_b.c/d",
    "a_b.c/d:1@sha256:" + "a" * 64,
    "a.b_c/d",
    "a_b/c",  # a user on Docker Hub
    "a[::1]/foo",
    "[::1]a/foo",
    "[::1]:5000/foo",
    "a:/b",
    "a:1:2/b",
    "-a.b/c",
    "Gcr.io/a",
    "Registry/a",
    f"{LABEL}.io/a",
    f"{LABEL}a.io/a",
    f"io.{LABEL}a:5000/a",
    f"{LABEL}a/a",  # a user on Docker Hub
    ".".join([LABEL] * 3 + ["a" * 61]) + "/a",
    ".".join([LABEL] * 3 + ["a" * 62]) + "/a",
    "gcr.io/" + "a" * 255,
    "gcr.io/" + "a" * 256,
    "m.example/" + "a/" * 500 + "a",
    "a" * 1025,
    "nginx:1\n",
    " nginx",
    "f" * 64,
)


@pytest.mark.parametrize("name", ["everything", "moves", "all", "paths"])
def test_policy_treats_odd_images_as_the_rules_do(name):
    mirrors = RULES[name]
    got = PolicyEvaluator(mirrors.rules).images(ODD_IMAGES)
    assert dict(zip(ODD_IMAGES, got, strict=True)) == {
        image: wanted(mirrors, image) for image in ODD_IMAGES
    }


# Chains in which a name becomes too long at the last mirror, or on the way to it.
CHAINS = {
    "grows": [Rule("gcr.io", ["quay.io/b"]), Rule("quay.io", ["m.example/hub", "n.example/h"])],
    "shrinks": [
        Rule("gcr.io", ["quay.io/longer/path"]),
        Rule("quay.io/longer/path", ["m.example"]),
    ],
    "three": [
        Rule("gcr.io", ["a.example/a", "z.example/zz"]),
        Rule("a.example", ["b.example/bb"]),
        Rule("b.example/bb", ["c.example/longer/path", "d.example"]),
    ],
    "everywhere": [
        Rule("*", ["m.example/longer"]),
        Rule("m.example/longer", ["n.example"]),
        Rule("n.example", keep=True),
    ],
    "flattens": [
        Rule("gcr.io", [Mirror("quay.io/f", flatten=True)]),
        Rule("quay.io", ["m.example/longer"]),
    ],
}
LENGTHS = (*range(228, 256),)


@pytest.mark.parametrize("name", CHAINS)
def test_policy_treats_long_names_in_chains_as_the_rules_do(name):
    mirrors = MirrorMap(CHAINS[name])
    images = [f"gcr.io/a/{'b' * (length - 2)}:1" for length in LENGTHS]
    got = PolicyEvaluator(mirrors.rules).images(images)
    assert len({new.partition("/")[0] for new in got}) > 1
    assert dict(zip(images, got, strict=True)) == {i: wanted(mirrors, i) for i in images}


def test_policy_refuses_a_chain_that_shrinks_and_flattens():
    rules = [
        Rule("gcr.io", [Mirror("quay.io/longer/path", flatten=True)]),
        Rule("quay.io/longer/path", ["m.example"]),
    ]
    with pytest.raises(InvalidRuleError, match="leads through a longer path"):
        rendered(rules)


def test_policy_does_not_rewrite_its_own_result():
    for name in ("moves", "everything", "all"):
        evaluated = PolicyEvaluator(RULES[name].rules)
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
def test_slots_are_the_images_that_a_request_brings_in(new, old, subresource, slots):
    assert PolicyEvaluator(RULES["paths"].rules).slots(new, old, subresource) == slots


def test_policy_and_binding_have_the_same_name():
    policy, binding = objects(rendered(RULES["paths"].rules, name="team-a"))
    assert policy["apiVersion"] == "admissionregistration.k8s.io/v1"
    assert policy["spec"]["failurePolicy"] == "Ignore"
    assert [policy["metadata"]["name"], binding["spec"]["policyName"]] == ["team-a"] * 2
    assert binding["spec"]["matchResources"]["namespaceSelector"] == {
        "matchLabels": {"mirrorhook.io/rewrite": "enabled"}
    }


def test_options_set_the_api_version_and_the_namespaces():
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
def test_config_map_has_the_same_table_as_the_policy(render, missing, name):
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
def test_prefix_has_a_unique_and_valid_config_map_key(mirrors):
    try:
        entries = make_prefix_table(mirrors.rules, complete=True)
        table = make_policy_table(entries)
    except InvalidRuleError:
        reject()  # as above
    assert all(CONFIG_MAP_KEY.fullmatch(key) for key in table)
    assert not any(key.startswith("..") for key in table)
    assert len(table) == len({entry.prefix for entry in entries}) + 2


@pytest.mark.parametrize(("warn", "actions"), [(False, ["Deny"]), (True, ["Warn", "Audit"])])
def test_enforcement_refuses_or_warns_without_opt_out(warn, actions):
    rules = RULES["paths"].rules
    policy, binding = objects(render_enforcement(rules, PolicyOptions(warn=warn)))
    conditions = [each["name"] for each in policy["spec"]["matchConditions"]]
    assert conditions == ["is-no-mirror-pod", "has-new-containers"]
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"]["validationActions"] == actions


def test_policy_warns_of_a_regex():
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
def test_rules_beyond_the_limits_are_refused_with_advice(rules, problem):
    with pytest.raises(InvalidRuleError, match=problem) as refused:
        rendered(rules)
    assert "use the webhook" in str(refused.value)

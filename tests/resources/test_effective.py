"""What the rules file and all objects are together."""

from __future__ import annotations

import pytest

from tests.resources.objects import make_object, make_rule
from webhook.config import Mode, parse_rules
from webhook.resources import Kind, Reason, build_effective, list_conditions

PLATFORM, TEAM = Kind.PLATFORM, Kind.TEAM
FILE = """
rules:
- {match: docker.io, mirrors: [harbor.example.com/hub]}
- {match: k8s.gcr.io, mirrors: [registry.k8s.io]}
availability: {mode: check, ttl: 1h, credentials: [config.json], plainHTTP: [harbor.example.com]}
policies:
  extra:
    rules: [{match: ghcr.io, mirrors: [harbor.example.com/ghcr]}]
delegation:
  namespaces: {matchLabels: {team: shop}}
  mirrors: [harbor.example.com/shop/*]
"""
ENFORCED = FILE.replace("hub]}", "hub], enforced: true}")
LABELS = {"shop": {"team": "shop"}, "other": {"team": "other"}}


def build(*objects, file=FILE, labels=LABELS, previous=None):
    return build_effective(
        parse_rules(file, "rules.yaml"),
        [each for each in objects if each.kind is PLATFORM],
        [each for each in objects if each.kind is TEAM],
        labels,
        previous,
    )


def decide(effective, image, namespace="shop", policy="default"):
    return effective.find(policy, namespace).mirrors.decide(image).image


def judge(effective, each):
    verdict = effective.verdicts[each.uid]
    return verdict.reason, verdict.message, verdict.in_use


def test_file_works_alone():
    effective = build()
    assert effective.verdicts == {}
    assert effective.policies["default"] is effective.configuration.policies["default"]
    for namespace in ("shop", "unknown", ""):
        assert effective.find("default", namespace) is effective.policies["default"]
    assert effective.find("nope", "shop") is None


def test_objects_of_the_cluster_add_to_a_policy_and_replace_rules_of_the_file():
    hub = make_object(PLATFORM, "hub", {"rules": [make_rule("docker.io", "m.example.com/hub")]})
    quay = make_object(
        PLATFORM, "quay", {"policy": "extra", "rules": [make_rule("quay.io", "m.example.com/q")]}
    )
    effective = build(hub, quay)
    assert decide(effective, "nginx") == "m.example.com/hub/library/nginx"
    assert decide(effective, "quay.io/a") == "quay.io/a"
    assert decide(effective, "quay.io/a", policy="extra") == "m.example.com/q/a"
    assert decide(effective, "ghcr.io/a", policy="extra") == "harbor.example.com/ghcr/a"
    assert judge(effective, hub) == (Reason.ACCEPTED, "1 rule in use", 1)
    reason = effective.find("default", "shop").mirrors.decide("nginx").reason
    assert reason == "rule docker.io (ClusterMirrorRules hub) → m.example.com/hub"


def test_own_rules_come_before_those_of_profiles_and_the_profiles_of_objects_before_the_files():
    each = make_object(PLATFORM, "hub", {"profiles": ["daocloud"]})
    effective = build(each, file="profiles: [nju]\n" + FILE.lstrip())
    assert effective.policies["default"].profiles == ("daocloud", "nju")
    assert decide(effective, "nginx") == "harbor.example.com/hub/library/nginx"
    assert decide(effective, "quay.io/a/b") == "m.daocloud.io/quay.io/a/b"
    reason = effective.find("default", "shop").mirrors.decide("quay.io/a/b").reason
    assert "rule quay.io (profile daocloud of ClusterMirrorRules hub)" in reason
    assert judge(effective, each)[1] == "0 rules and 1 profile (daocloud) in use"


def test_objects_of_a_team_act_in_their_own_namespace_in_all_policies():
    each = make_object(
        TEAM, "rules", {"rules": [make_rule("quay.io", "harbor.example.com/shop/q")]}
    )
    effective = build(each)
    for policy in ("default", "extra"):
        assert decide(effective, "quay.io/a", policy=policy) == "harbor.example.com/shop/q/a"
        assert decide(effective, "quay.io/a", "other", policy) == "quay.io/a"
        assert effective.find(policy, "other") is effective.policies[policy]


def test_settings_of_objects_hold_and_files_of_the_platform_stay():
    platform = make_object(
        PLATFORM, "all", {"mode": "observe", "loops": {"mode": "off"}, "record": False}
    )
    team = make_object(TEAM, "rules", {"mode": "rewrite", "availability": {"mode": "check"}})
    effective = build(platform, team)
    assert effective.policies["default"].mode is Mode.OBSERVE
    assert effective.policies["default"].loops is None
    settings = effective.find("default", "shop")
    assert (settings.mode, settings.record, settings.loops) == (Mode.REWRITE, False, None)
    assert settings.availability.ttl == 600
    assert settings.availability.credentials == ("config.json",)
    # A team cannot say how registries are reached.
    assert settings.availability.plain_http == {"harbor.example.com"}
    assert effective.find("extra", "shop").availability.credentials == ()


@pytest.mark.parametrize(
    ("file", "spec", "reason", "message"),
    [
        (
            FILE.partition("delegation")[0],
            {},
            Reason.NOT_DELEGATED,
            "metadata.namespace: no namespace may have rules of its own",
        ),
        (
            FILE.replace("shop}", "pay}"),
            {},
            Reason.NOT_DELEGATED,
            (
                "metadata.namespace: namespace shop may not have rules of its own: label team must "
                "be pay, but is shop"
            ),
        ),
        (
            FILE,
            {"rules": [make_rule("a.io", keep=True), make_rule("quay.io", "harbor.example.com/x")]},
            Reason.MIRROR_NOT_ALLOWED,
            (
                "spec.rules[1].mirrors[0]: harbor.example.com/x is not allowed: mirrors of this "
                "namespace have to be under harbor.example.com/shop"
            ),
        ),
        (
            FILE,
            {
                "rules": [
                    {
                        "match": "quay.io",
                        "mirrors": [{"target": "harbor.example.com/shop"}],
                        "verify": "digest",
                        "trusted": {"target": "evil.example.com"},
                    }
                ]
            },
            Reason.MIRROR_NOT_ALLOWED,
            "spec.rules[0].trusted: evil.example.com is not allowed",
        ),
        (
            FILE,
            {"rules": [{"regex": "(.+?)/(.+)", "mirrors": [{"target": r"\1.example.com/\2"}]}]},
            Reason.MIRROR_NOT_ALLOWED,
            r"spec.rules[0].mirrors[0]: \1.example.com/\2 is not allowed",
        ),
        (
            FILE,
            {"rules": [{"regex": "(.+)", "mirrors": [{"target": r"harbor.example.com/shop\1"}]}]},
            Reason.MIRROR_NOT_ALLOWED,
            r"harbor.example.com/shop\1 is not allowed",
        ),
        (
            FILE,
            {"profiles": ["daocloud"]},
            Reason.MIRROR_NOT_ALLOWED,
            "spec.profiles[0]: m.daocloud.io/",
        ),
        (
            FILE,
            {"rules": [make_rule("a.io", enforced=True)]},
            Reason.NOT_ALLOWED,
            "spec.rules[0]: only ClusterMirrorRules can enforce a rule: remove enforced",
        ),
        (
            ENFORCED,
            {"mode": "observe"},
            Reason.NOT_ALLOWED,
            "spec.mode: the platform has enforced rules, which mode could switch off: remove it",
        ),
        (ENFORCED, {"availability": {"mode": "off"}}, Reason.NOT_ALLOWED, "spec.availability: the"),
        (ENFORCED, {"loops": {"times": 3}}, Reason.NOT_ALLOWED, "spec.loops: the platform has"),
        (FILE, {"availability": {"proxy": "off"}}, Reason.INVALID, "proxy: unknown key"),
        (
            FILE,
            {
                "rules": [
                    make_rule("a b", "x"),
                    make_rule("a.io", "b.io"),
                    make_rule("a.io", "c.io"),
                ]
            },
            Reason.INVALID,
            "spec.rules[1] already has a rule for a.io",
        ),
        (
            FILE.replace(
                "k8s.gcr.io, mirrors: [registry.k8s.io]",
                "harbor.example.com/shop, mirrors: [quay.io]",
            ),
            {"rules": [make_rule("quay.io", "harbor.example.com/shop")]},
            Reason.CYCLE,
            "spec: the rules form a cycle: ",
        ),
        (
            FILE,
            {
                "availability": {"mode": "off"},
                "rules": [make_rule("quay.io", "harbor.example.com/shop", verify="digest")],
            },
            Reason.INVALID,
            "spec: verify: digest needs availability checks",
        ),
        (
            FILE.replace("shop/*]", "*]"),
            {
                "rules": [
                    make_rule(f"r{n}.example.com", f"harbor.example.com/{n}") for n in range(1001)
                ]
            },
            Reason.INVALID,
            "spec: a namespace cannot have more than 1,000 rules",
        ),
    ],
)
def test_object_of_a_team_that_is_not_allowed_changes_nothing(file, spec, reason, message):
    each = make_object(TEAM, "rules", spec)
    effective = build(each, file=file)
    found, text, in_use = judge(effective, each)
    assert (found, in_use) == (reason, None)
    assert message in text
    for policy in ("default", "extra"):
        assert effective.find(policy, "shop") == effective.policies[policy]


def test_namespace_with_unknown_labels_has_no_rules_of_its_own():
    each = make_object(TEAM, "rules", {"mode": "observe"})
    assert judge(build(each, labels={}), each)[0] is Reason.NOT_DELEGATED


def test_team_that_observes_is_allowed_to_rewrite_below_enforced_rules():
    each = make_object(TEAM, "rules", {"mode": "rewrite", "record": False})
    effective = build(each, file=ENFORCED)
    assert judge(effective, each)[0] is Reason.ACCEPTED
    assert not effective.find("default", "shop").record


def test_object_for_a_policy_that_the_file_does_not_have_is_refused():
    each = make_object(PLATFORM, "hub", {"policy": "nope", "mode": "observe"})
    assert judge(build(each), each) == (
        Reason.POLICY_NOT_FOUND,
        "spec.policy: the rules file has no policy nope; it has default, extra",
        None,
    )


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (
            {"rules": [make_rule("quay.io", "harbor.example.com/shop/a")]},
            {"rules": [make_rule("a.io"), make_rule("quay.io", "harbor.example.com/shop/a")]},
            "spec.rules[1]: {}, which is older, has a rule for quay.io: remove one of them",
        ),
        (
            {"mode": "observe"},
            {"mode": "rewrite"},
            "spec.mode: {}, which is older, has another value of mode: remove one of them",
        ),
        (
            {"loops": {"times": 5}},
            {"loops": {"mode": "off"}},
            "spec.loops: {}, which is older, has another value of loops: remove one of them",
        ),
        ({"record": False}, {"record": False, "mode": "observe"}, ""),
        ({"availability": {"ttl": "1m"}}, {"availability": {"mode": "off"}}, ""),
    ],
)
def test_older_object_wins_a_conflict_and_the_younger_is_refused_whole(kind, one, other, message):
    older = make_object(kind, "z", one, created=1)
    younger = make_object(kind, "a", other | {"record": False}, created=2)
    for objects in ((older, younger), (younger, older)):
        effective = build(*objects)
        assert judge(effective, older)[0] is Reason.ACCEPTED
        reason, text, _ = judge(effective, younger)
        assert reason is (Reason.CONFLICT if message else Reason.ACCEPTED)
        assert effective.find("default", "shop").record is (bool(message) and "record" not in one)
        if message:
            assert text == message.format(older)
    same_age = make_object(kind, "b", one, created=2)
    effective = build(younger, same_age)
    assert judge(effective, younger)[0] is Reason.ACCEPTED
    assert judge(effective, same_age)[0] is (Reason.CONFLICT if message else Reason.ACCEPTED)


def test_objects_of_different_policies_do_not_conflict():
    one = make_object(PLATFORM, "a", {"rules": [make_rule("a.io")], "mode": "observe"})
    spec = {"policy": "extra", "rules": [make_rule("a.io", "b.io")], "mode": "rewrite"}
    other = make_object(PLATFORM, "b", spec)
    effective = build(one, other)
    assert {verdict.reason for verdict in effective.verdicts.values()} == {Reason.ACCEPTED}


def test_cycle_of_several_objects_is_that_of_the_youngest():
    names = ("a.io", "b.io", "c.io")
    objects = [
        make_object(PLATFORM, name, {"rules": [make_rule(name, target)]}, created=age)
        for age, (name, target) in enumerate(zip(names, (*names[1:], names[0]), strict=True))
    ]
    effective = build(*objects[::-1])
    assert [judge(effective, each)[0] for each in objects] == [
        Reason.ACCEPTED,
        Reason.ACCEPTED,
        Reason.CYCLE,
    ]
    assert decide(effective, "a.io/x") == "c.io/x"


GOOD = {"rules": [make_rule("quay.io", "harbor.example.com/shop/q")]}
BROKEN = {"rules": [make_rule("quay.io:1:2", "harbor.example.com/shop/q")]}


@pytest.mark.parametrize("kind", Kind)
def test_last_good_generation_of_a_broken_object_stays_in_use(kind):
    first = build(make_object(kind, "rules", GOOD))
    broken = make_object(kind, "rules", BROKEN, generation=2)
    second = build(broken, previous=first)
    third = build(broken, previous=second)
    for effective in (second, third):
        assert decide(effective, "quay.io/a") == "harbor.example.com/shop/q/a"
        reason, message, in_use = judge(effective, broken)
        assert (reason, in_use) == (Reason.INVALID, 1)
        assert message.startswith("spec.rules[0].match: match 'quay.io:1:2'")
    fixed = make_object(kind, "rules", {"rules": []}, generation=3)
    fourth = build(fixed, previous=third)
    assert decide(fourth, "quay.io/a") == "quay.io/a"
    assert judge(fourth, fixed) == (Reason.ACCEPTED, "0 rules in use", 3)


@pytest.mark.parametrize("kind", Kind)
def test_deleted_object_has_no_rules_in_use_also_if_it_is_created_again(kind):
    first = build(make_object(kind, "rules", GOOD))
    second = build(previous=first)
    assert decide(second, "quay.io/a") == "quay.io/a"
    assert second.verdicts == {}
    again = make_object(kind, "rules", BROKEN, uid="another")
    for previous in (first, second):
        effective = build(again, previous=previous)
        assert decide(effective, "quay.io/a") == "quay.io/a"
        assert judge(effective, again)[2] is None


def test_last_good_generation_has_to_be_allowed_still():
    first = build(make_object(TEAM, "rules", GOOD))
    broken = make_object(TEAM, "rules", BROKEN, generation=2)
    second = build(broken, previous=first, labels={})
    assert decide(second, "quay.io/a") == "quay.io/a"
    assert judge(second, broken)[::2] == (Reason.NOT_DELEGATED, None)
    # It is remembered until the object is deleted.
    third = build(broken, previous=second)
    assert judge(third, broken)[::2] == (Reason.INVALID, 1)
    assert decide(third, "quay.io/a") == "harbor.example.com/shop/q/a"


def test_conditions_say_what_is_in_use():
    each = make_object(TEAM, "rules", GOOD)
    good = build(each)
    assert [tuple(row.values()) for row in list_conditions(good.verdicts[each.uid])] == [
        ("Accepted", "True", "Accepted", "1 rule in use", 1),
        ("Programmed", "True", "Accepted", "the rules of this generation are in use", 1),
        ("Degraded", "False", "Accepted", "nothing is wrong", 1),
    ]
    broken = make_object(TEAM, "rules", BROKEN, generation=2)
    for previous, text in (
        (good, "the rules of generation 1, the last one that was accepted, are in use"),
        (None, "no rules of this object are in use"),
    ):
        rows = list_conditions(build(broken, previous=previous).verdicts[broken.uid])
        assert [(row["type"], row["status"]) for row in rows] == [
            ("Accepted", "False"),
            ("Programmed", "False"),
            ("Degraded", "True"),
        ]
        assert rows[1]["message"] == rows[2]["message"] == text
        assert {row["observedGeneration"] for row in rows} == {2}
        assert {row["reason"] for row in rows} == {"Invalid"}


@pytest.mark.parametrize(
    ("count", "end"), [(20, "and 15 more problems"), (6, "and 1 more problem")]
)
def test_message_of_many_problems_is_short(count, end):
    rules = [make_rule(f"{'x' * 2000}:1:{n}", "harbor.example.com/shop") for n in range(count)]
    each = make_object(TEAM, "rules", {"rules": rules})
    message = build(each).verdicts[each.uid].message
    assert len(message) <= 4096
    assert message.endswith(end)


def test_build_keeps_the_settings_of_whatever_did_not_change():
    one = make_object(TEAM, "rules", GOOD)
    other = make_object(TEAM, "rules", {"mode": "observe"}, "other")
    labels = {"shop": {"team": "shop"}, "other": {"team": "shop"}}
    first = build(one, other, labels=labels)
    second = build_effective(
        first.configuration,
        [],
        [one, make_object(TEAM, "rules", {"record": False}, "other", generation=2)],
        labels,
        first,
    )
    assert second.find("default", "shop") is first.find("default", "shop")
    assert second.find("default", "other") is not first.find("default", "other")
    assert second.policies is first.policies


@pytest.mark.parametrize(
    ("expression", "count", "message"),
    [
        (r"docker\.io/(?:bitnami|library)/([a-z]+)\.{}/(.+)", 32, ""),
        (r"\pL{{400}}{}", 1, r"spec.rules[0].regex: regex '\\pL{400}0' is refused by RE2"),
        (r".*x.{{900}}{}", 1, "spec.rules[0].regex: "),
        (r".*x[a-z]{{200}}{}", 8, "spec: the regexes of all rules are too large together"),
    ],
)
def test_regexes_of_a_team_take_little_memory_and_time(expression, count, message):
    rules = [
        {"regex": expression.format(n), "mirrors": [{"target": "harbor.example.com/shop"}]}
        for n in range(count)
    ]
    each = make_object(TEAM, "rules", {"rules": rules})
    reason, text, _ = judge(build(each), each)
    assert reason is (Reason.INVALID if message else Reason.ACCEPTED)
    assert text.startswith(message or "32 rules in use")
    platform = make_object(PLATFORM, "rules", {"rules": rules})
    assert judge(build(platform), platform)[0] is Reason.ACCEPTED

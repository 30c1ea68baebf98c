from __future__ import annotations

import os
import threading
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.config import (
    Configuration,
    ConfigurationError,
    Mode,
    PolicySettings,
    Problem,
    load_profiles,
    load_rules,
    parse_rules,
)
from webhook.config.loader import read_rules_file
from webhook.core import Availability, LoopLimits, Mirror, OnUnknown, Platform

EVERY_KEY = r"""
profiles: [daocloud]
rules:
  - match: docker.io
    mirrors: [harbor.example.com/dockerhub]
  - match: registry.k8s.io
    mirrors:
      - harbor.example.com/k8s
      - target: registry.aliyuncs.com/google_containers
        flatten: true
  - match: "*.gcr.io"
    mirrors: [harbor.example.com/gcr]
  - match: "*"
    mirrors: [harbor.example.com/cache]
    original: last
  - match: m.daocloud.io
    keep: true
  - match: quay.io/our-team
    keep: true
  - regex: '^docker\.io/bitnami/(.+)$'
    mirrors: ['harbor.example.com/legacy/\1']
availability: {mode: off}
record: true
mode: rewrite
policies:
  team-a:
    profiles: [k8s-gcr-io]
    rules: [{match: docker.io, mirrors: [registry.team-a.example.com/hub]}]
    mode: observe
    record: false
"""


def parse_default(text):
    return parse_rules(text, "rules.yaml").policies["default"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx:1.27", "harbor.example.com/dockerhub/library/nginx:1.27"),
        ("registry.k8s.io/pause:3.10", "harbor.example.com/k8s/pause:3.10"),
        ("eu.gcr.io/a/b", "harbor.example.com/gcr/a/b"),
        ("ghcr.io/a/b", "m.daocloud.io/ghcr.io/a/b"),
        ("icr.io/a/b", "harbor.example.com/cache/icr.io/a/b"),
        ("quay.io/our-team/app", "quay.io/our-team/app"),
        ("bitnami/redis:7", "harbor.example.com/legacy/redis:7"),
    ],
)
def test_file_with_every_key_maps_images(image, expected):
    assert parse_default(EVERY_KEY).mirrors.decide(image).image == expected


def test_policies_are_listed_by_name_with_default_first():
    policies = parse_rules(EVERY_KEY, "rules.yaml").policies

    assert list(policies) == ["default", "team-a"]
    assert [policy.name for policy in policies.values()] == ["default", "team-a"]


def test_policy_inherits_nothing_from_the_top_level():
    policy = parse_rules(EVERY_KEY, "rules.yaml").policies["team-a"]

    assert [str(rule) for rule in policy.mirrors.rules] == [
        "docker.io",
        "k8s.gcr.io (profile k8s-gcr-io)",
    ]
    assert (policy.mode, policy.record) == (Mode.OBSERVE, False)
    assert policy.profiles == ("k8s-gcr-io",)


def test_missing_keys_have_defaults():
    policy = parse_default("rules: [{match: a.io, keep: true}]")

    assert policy == PolicySettings("default", policy.mirrors, Mode.REWRITE, True, ())


def test_configuration_is_immutable():
    configuration = parse_rules(EVERY_KEY, "rules.yaml")

    with pytest.raises(TypeError):
        configuration.policies["other"] = configuration.policies["default"]
    with pytest.raises(AttributeError):
        configuration.digest = ""


@pytest.mark.parametrize("mode", ["off", '"off"', "false", "no", "Off"])
def test_availability_off_is_accepted_as_string_and_boolean(mode):
    text = f"rules: [{{match: a.io, keep: true}}]\navailability: {{mode: {mode}}}"

    assert parse_rules(text, "rules.yaml").warnings == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{mode: on}", "availability.mode: expected check or off, got the boolean 'on'"),
        (
            '{mode: "no"}',
            "availability.mode: expected check or off, got the string 'no'",
        ),
        (
            "{mode: [off]}",
            "availability.mode: expected check or off, got a list",
        ),
        ("{mod: off}", "availability.mod: unknown key; did you mean mode?"),
        ("off", "availability: expected a mapping, got the boolean 'off'"),
        ("", "availability: expected a mapping, got nothing"),
    ],
)
def test_invalid_availability_is_refused(refused, text, problem):
    (line,) = refused(f"availability: {text}\n")

    assert line.partition(": ")[2] == problem


def test_empty_availability_is_off():
    assert parse_rules("profiles: [nju]\navailability: {}", "rules.yaml").warnings == ()


def test_availability_without_a_mode_gives_a_warning():
    (warning,) = parse_rules("profiles: [nju]\navailability: {ttl: 1m}", "rules.yaml").warnings

    assert warning.endswith("without a mode nothing is checked: add mode: check or mode: off")


def test_missing_availability_keys_have_defaults():
    assert parse_default("availability: {mode: check}").availability == Availability()
    assert parse_default("availability: {mode: off}").availability is None
    assert parse_default("profiles: [nju]").availability is None


def test_every_availability_key_is_read():
    text = """
rules:
  - match: docker.io
    mirrors: [{target: a.example/x, ca: ca.pem}]
    verify: digest
    trusted: {target: t.example, ca: /etc/t.pem}
availability:
  mode: check
  timeout: 500ms
  budget: 1.5s
  ttl: 1h30m
  negativeTTL: 5s
  onUnknown: mirror
  platforms: [linux/amd64, linux/arm/v7]
  plainHTTP: ["registry.lan:5000"]
  credentials: [auth/config.json]
  proxy: environment
"""
    policy = parse_rules(text, "etc/rules.yaml").policies["default"]

    assert policy.availability == Availability(
        timeout=0.5,
        budget=1.5,
        ttl=5400.0,
        negative_ttl=5.0,
        on_unknown=OnUnknown.MIRROR,
        platforms=(Platform("linux", "amd64"), Platform("linux", "arm", "v7")),
        plain_http=frozenset({"registry.lan:5000"}),
        credentials=("etc/auth/config.json",),
        use_proxies=True,
        ca_files=(("a.example", "etc/ca.pem"), ("t.example", "/etc/t.pem")),
    )
    (rule,) = policy.mirrors.rules
    assert rule.verify
    assert rule.trusted == Mirror("t.example")


@pytest.mark.parametrize(
    ("proxy", "use_proxies"), [("environment", True), ("off", False), ("false", False)]
)
def test_proxy_of_availability_is_environment_or_off(proxy, use_proxies):
    policy = parse_default(f"availability: {{mode: check, proxy: {proxy}}}")

    assert policy.availability.use_proxies is use_proxies


def test_other_proxy_of_availability_is_refused(refused):
    (line,) = refused("availability: {mode: check, proxy: 'http://proxy:3128'}")

    assert "unknown value 'http://proxy:3128'; use environment or off" in line


def test_unknown_profile_is_refused_with_all_names(refused):
    (line,) = refused("profiles: [xyzzy]")

    assert (
        "unknown profile 'xyzzy'; known profiles are aliyun-google-containers, azure-china" in line
    )


@pytest.mark.parametrize("name", ["a", "team-a", "7", "012", "no", "a" * 63])
def test_policy_name_that_is_an_rfc_1123_label_is_accepted(name):
    text = f"policies: {{{name}: {{rules: [{{match: a.io, keep: true}}]}}}}"

    assert list(parse_rules(text, "rules.yaml").policies) == ["default", name]


@pytest.mark.parametrize("name", ["Team", "a_b", "-a", "a-", "a.b", "a/b", "ä", "a" * 64, ""])
def test_other_policy_name_is_refused(refused, name):
    (line,) = refused(f"policies: {{{name!r}: {{}}}}")

    assert "is not a valid name of a policy" in line


def test_problems_of_all_policies_are_reported(refused):
    lines = refused("rules: 7\npolicies:\n  a: {rules: 7}\n  B: {mode: 7}\n  c: {profiles: 7}\n")

    assert [line.split(":")[1] for line in lines] == ["1", "3", "4", "4", "5"]


def test_profile_rule_is_used_if_no_own_rule_has_its_match():
    policy = parse_default("profiles: [daocloud, nju]\nrules: [{match: quay.io, keep: true}]")

    rules = {rule.name: rule.source for rule in policy.mirrors.rules}
    assert rules["quay.io"] == ""
    assert rules["ghcr.io"] == "daocloud"
    assert policy.profiles == ("daocloud", "nju")


def test_first_profile_wins():
    policy = parse_default("profiles: [nju, daocloud]")

    assert policy.mirrors.decide("ghcr.io/a/b").image == "ghcr.nju.edu.cn/a/b"
    assert policy.mirrors.decide("nginx").image == "m.daocloud.io/docker.io/library/nginx"


def test_profile_and_own_rules_form_a_chain():
    policy = parse_default(
        "profiles: [bitnami-legacy]\nrules: [{match: docker.io, mirrors: [h.io/hub]}]"
    )

    decision = policy.mirrors.decide("bitnami/redis:7")
    assert decision.image == "h.io/hub/bitnamilegacy/redis:7"


def test_every_cycle_is_reported_with_rules_and_lines(refused):
    lines = refused(
        """
profiles: [k8s-gcr-io]
rules:
- {match: a.io, mirrors: [b.io]}
- {match: b.io, mirrors: [c.io]}
- {match: c.io, mirrors: [a.io]}
- {match: registry.k8s.io, mirrors: [k8s.gcr.io]}
- {match: x.io, mirrors: []}
""".lstrip()
    )

    assert [line.split(":")[1] for line in lines] == ["3", "6", "7"]
    assert "the rules form a cycle" in lines[0]
    for name in ("a.io", "b.io", "c.io"):
        assert name in lines[0]
    assert lines[0].endswith("(see also line 4, line 5)")
    assert "k8s.gcr.io (profile k8s-gcr-io)" in lines[1]
    assert "see also" not in lines[1]


def test_number_of_reported_cycles_is_limited(refused):
    rules = "".join(
        f"- {{match: {a}{i}.io, mirrors: [{b}{i}.io]}}\n"
        for i in range(30)
        for a, b in ("xy", "yx")
    )

    lines = refused("rules:\n" + rules)

    assert len(lines) == 10
    assert all("the rules form a cycle" in line for line in lines)


def test_number_of_reported_problems_is_limited(refused):
    lines = refused("rules:\n" + "- {match: a.io, x: 1}\n" * 2000)

    assert len(lines) == 1001
    assert lines[0].startswith("rules.yaml:2:17: ")
    assert lines[-1] == "rules.yaml: and 2999 more problems"


def test_digest_is_that_of_the_content():
    content = "profiles: [nju]\n"
    configuration = parse_rules(content, "rules.yaml")

    assert configuration.digest == sha256(content.encode()).hexdigest()
    assert configuration.digest == parse_rules(content.encode(), "other.yaml").digest


def test_file_is_loaded_from_its_path(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(EVERY_KEY, encoding="utf-8")

    assert load_rules(path).digest == parse_rules(EVERY_KEY, "x").digest


def test_problem_has_the_path_of_the_file(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("rules: 7", encoding="utf-8")

    with pytest.raises(ConfigurationError) as caught:
        load_rules(path)

    message = "expected a list, got the number '7': write [7]"
    assert caught.value.problems == (Problem(str(path), 1, 8, "rules", message),)


@pytest.mark.parametrize(
    ("name", "problem"),
    [("missing.yaml", "No such file or directory"), ("", "Is a directory")],
)
def test_unreadable_file_is_one_problem(tmp_path, name, problem):
    path = tmp_path / name

    with pytest.raises(ConfigurationError) as caught:
        load_rules(path)

    message = f"the file cannot be read: {problem}; check the path and its permissions"
    assert caught.value.problems == (Problem(str(path), 0, 0, "", message),)
    assert str(caught.value) == f"{path}: {message}"


def test_profiles_alone_are_a_configuration():
    configuration = load_profiles(["nju", "daocloud"])

    policy = configuration.policies["default"]
    assert isinstance(configuration, Configuration)
    assert list(configuration.policies) == ["default"]
    assert policy.profiles == ("nju", "daocloud")
    assert policy.mirrors.decide("nginx").image == "m.daocloud.io/docker.io/library/nginx"
    assert configuration.warnings == ()
    assert configuration.digest != load_profiles(["daocloud", "nju"]).digest


def test_all_unknown_profiles_are_reported():
    with pytest.raises(ConfigurationError) as caught:
        load_profiles(["daoclod", "ustc", "ustc"])

    assert str(caught.value).splitlines() == [
        "unknown profile 'daoclod'; did you mean daocloud?",
        "duplicate profile ustc: remove one of them",
    ]


SIGNS = "abr:-[]{}*&!|>'\"%@`#,?\\\n\t 0.~<\x00é\ud800"
WORDS = (
    *("rules:", "policies: ", "match: ", "mirrors: ", "x: ", "<<: ", "keep: true"),
    *("docker.io", "a.io", "~", "on", " &a ", " *a", "---\n"),
    *("\n- ", "\n  ", "{", "}", "[", "]", ", "),
)


def find_problems(content):
    try:
        parse_rules(content, "rules.yaml")
    except ConfigurationError as error:
        return error.problems
    return None


@given(
    st.binary(max_size=80)
    | st.text(st.sampled_from(SIGNS), max_size=60)
    | st.lists(st.sampled_from(WORDS), max_size=30).map("".join)
)
def test_any_content_gives_rules_or_problems(content):
    problems = find_problems(content)

    if problems is not None:
        assert problems
        places = [(problem.line, problem.column) for problem in problems]
        assert all(before <= after for before, after in pairwise(places))


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", LoopLimits(10, 3600)),
        ("loops: {}", LoopLimits()),
        ("loops: {mode: stop}", LoopLimits()),
        ("loops: {times: 5, within: 30m}", LoopLimits(5, 1800)),
        ("loops: {mode: off}", None),
        ("loops: {mode: 'off', times: 5}", None),
    ],
)
def test_loops_give_limits_or_none(text, limits):
    assert parse_default(f"profiles: [nju]\n{text}").loops == limits


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{times: 2}", "loops.times: expected a number from 3 to 100, got the number '2'"),
        ("{times: 101}", "loops.times: expected a number from 3 to 100, got the number '101'"),
        ("{times: '5'}", "loops.times: expected a number from 3 to 100, got the string '5'"),
        ("{times: 0x10}", "loops.times: expected a number from 3 to 100, got the number '0x10'"),
        ("{times: [5]}", "loops.times: expected a number from 3 to 100, got a list"),
        ("{within: 25h}", "loops.within: expected more than 0s and at most 86400s, got 25h"),
        ("{mode: watch}", "loops.mode: unknown value 'watch'; use stop or off"),
        ("{time: 5}", "loops.time: unknown key; did you mean times?"),
        ("off", "loops: expected a mapping, got the boolean 'off'"),
    ],
)
def test_invalid_loops_are_refused(refused, text, problem):
    (line,) = refused(f"profiles: [nju]\nloops: {text}\n")
    assert problem in line


def test_pipe_is_read_only_where_it_is_read_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)

    with pytest.raises(ConfigurationError, match="it is not a regular file"):
        load_rules(path)
    writer = threading.Thread(target=path.write_text, args=("profiles: [nju]\n",))
    writer.start()
    assert read_rules_file(path, read_once=True) == b"profiles: [nju]\n"
    writer.join()

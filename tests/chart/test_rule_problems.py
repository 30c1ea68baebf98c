"""Helm refuses the rules that the program refuses, in its words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest
import yaml

from tests.chart.rendering import CHART, HELM_VERSIONS, render, run_helm
from webhook.config import ConfigurationError, parse_rules
from webhook.profiles import PROFILES

MISTAKES = Path(__file__).parents[1] / "config/mistakes.yaml"
LINE = re.compile(r"line \d+ \((.+?)\)")  # values have no lines
MORE_LINES = re.compile(r" \(see also line .+\)")
TEMPLATE_LINE = re.compile(r"^\s*policies\.p(\d+)\.(.+)$", re.MULTILINE)
SCHEMA_LINE = re.compile(r"^- (?:at '/|)policies[./]p(\d+)\b", re.MULTILINE)
ALL = {"selection": {"mode": "all"}}


def rule(match, *mirrors, **more):
    return {"match": match, "mirrors": list(mirrors), **more}


MATCHES = [
    "https://docker.io",
    "docker.io/",
    "docker.io/x:1",
    "docker.io/library/nginx@sha256:abc",
    "nginx/:1",
    "user/app:2",
    "**",
    "*.",
    "*gcr.io",
    "*.gcr.*",
    "gcr.io/*",
    "gcr.io/*/x",
    "a b",
    "",
    "docker.io/Foo",
    "^docker",
    "https://registry.example.com/v2/",
    "/x",
    "docker.io//x",
    "http://index.docker.io/v1/",
    "docker.io/" + "a" * 256,
    "\\d",
    "'quoted'.io",
    "docker.io\n",
    "docker.io/" + "é" * 150,
]
TARGETS = [
    "https://harbor.example.com",
    "https://a.io/v2/",
    "oci://a.io/x",
    "http://a.io:5000/x:1",
    "harbor/hub",
    "harbor",
    "harbor.example.com/hub:1",
    "harbor.example.com/hub/",
    "harbor.example.com/*",
    "a.io/x@sha256:1",
    "v2/x",
    "$1/x",
    "a.io/${2}/x",
    "a.io/\\1",
    "a.io/Foo",
    "a.io//x",
    "",
    "a_b/x",
    "a.io/" + "b" * 256,
]
RULES = [
    *(rule(match, "ok.example.com") for match in MATCHES),
    *(rule("docker.io", target) for target in TARGETS),
    *(rule("docker.io", {"target": target, "flatten": True}) for target in TARGETS),
    rule("a.io", "b.io", trusted="https://c.io", verify="digest"),
    rule("a.io", "b.io", verify="digest"),
    rule("a.io", "b.io", trusted="c.io"),
    rule("a.io", "b.io", trusted="", verify="digest"),
    rule("a.io", "b.io", keep=True),
    rule("a.io"),
    rule("a.io", {"target": "b.io", "allowlist": "none.txt"}),
    rule("a.io", {"target": "b.io", "ca": "1.pem"}, {"target": "b.io/x", "ca": "2.pem"}),
    {"match": "a.io"},
    {"match": "a.io", "keep": False},
    {"match": "a.io", "keep": True, "verify": "digest"},
    {"match": "a.io", "regex": "x", "keep": True},
    {"mirrors": ["b.io"]},
    {"regex": "(a)(b)", "mirrors": ["a.io/\\3"]},
    {"regex": "(?:a)(?P<n>b)\\(x", "mirrors": ["c.io/\\2"]},
    {"regex": "a(x)", "mirrors": [{"target": "a.io/\\1", "flatten": True}]},
    {"regex": "(x)", "mirrors": [{"target": "\\1.b.io/x", "ca": "2.pem"}]},
]
REFUSED = [
    *({"rules": [each]} for each in RULES),
    {"rules": [rule("a.io", "b.io"), rule("a.io", "c.io")]},
    {"rules": [rule("docker.io", "b.io"), rule("index.docker.io", "c.io")]},
    {"rules": [rule("**", "b.io"), rule("**", "b.io")]},
    {"rules": [{"regex": "", "mirrors": ["b.io"]}, {"regex": "", "mirrors": ["b.io"]}]},
    {"profiles": ["xyzzy"]},
    # Cycles: straight, growing, over several rules, subdomains, profiles, and flattened.
    {"rules": [rule("a.io", "b.io"), rule("b.io", "a.io")]},
    {"rules": [rule("a.io", "b.io/x"), rule("b.io", "a.io/y")]},
    {"rules": [rule("a.io", "b.io"), rule("b.io", "c.io"), rule("c.io", "x.io", "a.io")]},
    {"rules": [rule("*.gcr.io", "b.io"), rule("b.io", "eu.gcr.io")]},
    {"rules": [rule("*", "b.io"), rule("b.io", "a.io"), rule("x.io", "y.io")]},
    {"rules": [rule("a.io", {"target": "b.io/x", "flatten": True}), rule("b.io/x", "a.io/z")]},
    {"rules": [rule("m.daocloud.io/docker.io", "docker.io")], "profiles": ["daocloud"]},
    {"rules": [rule("a.io", "b.io")], "availability": {"mode": "check", "budget": "1m"}},
    {"rules": [rule("a.io", "b.io")], "availability": {"mode": "check", "timeout": "0s"}},
    {"profiles": ["nju", "nju"]},
    {"rules": [rule("a.io", "b.io")], "loops": {"within": "25h"}},
]
ACCEPTED = [
    {"rules": [rule("a.io", "b.io"), {"match": "b.io", "keep": True}]},
    {"rules": [rule("docker.io/bitnami", "docker.io/old"), rule("docker.io", "m.io/hub")]},
    {"rules": [rule("*", "m.io"), rule("docker.io", "m.io/hub"), rule("*.gcr.io", "m.io/gcr")]},
    {"rules": [{"regex": "a|(b)|x", "mirrors": ["c.io/\\1"]}]},
    {"rules": [{"regex": r"\Cocker\.io/(.+)", "mirrors": ["c.io/\\1"]}]},
    {"rules": [{"regex": r"\Qgcr.io/a", "mirrors": ["c.io/x"]}]},
    {"rules": [rule("LOCAL/x", "[::1]:5000/x"), rule("localhost", "LOCAL")]},
    {"rules": [rule("a.io", "b.io")], "availability": {"mode": "check", "ttl": "1m30s"}},
    {"profiles": list(PROFILES)[:1], "rules": [rule("docker.io", "m.io")]},
]


def problems_of(file):
    """Return the problems of a file in the words of the program, without lines."""
    try:
        parse_rules(json.dumps(file), "rules.yaml")
    except ConfigurationError as error:
        texts = (f"{each.path}: {each.message}" for each in error.problems)
        return sorted(MORE_LINES.sub("", LINE.sub(r"\1", text)) for text in texts)
    return []


def refuse(files, helm="4.3"):
    """Return what Helm says of files, each of which becomes a policy, by their numbers."""
    policies = {f"p{number}": file | ALL for number, file in files.items()}
    values = {"policies": policies}
    return run_helm("template", "mirrorhook", CHART, version=helm, values=values).stderr


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_rules_are_refused_in_the_words_of_the_program(helm):
    said = {}
    for number, text in TEMPLATE_LINE.findall(refuse(dict(enumerate(REFUSED)), helm)):
        said.setdefault(int(number), []).append(text.replace(f"policies.p{number}.", ""))
    for number, file in enumerate(REFUSED):
        assert sorted(said.get(number, ())) == problems_of(file) != [], file


def combine(number):
    """Return a file of a few rules of all kinds, most of them valid."""
    random = Random(number)
    valid = ["a.io", "b.io:5000", "*.c.io", "*", "docker.io", "index.docker.io/x", "[::1]:5/x"]
    valid += ["localhost/a", "UP/er", "gcr.io/x__y/z", "x.c.io", "a.io/p/q", "b.io:5000/r"]

    def name(others):
        return random.choice(valid if random.random() < 0.93 else others)

    def mirror():
        target = name(TARGETS)
        return {"target": target, "flatten": True} if random.random() < 0.2 else target

    rules = [
        rule(name(MATCHES), *(mirror() for _ in range(random.choice([1, 1, 2]))))
        for _ in range(random.choice([1, 2, 3, 4]))
    ]
    return {"rules": rules}


def test_combinations_of_rules_are_refused_as_by_the_program():
    files = {number: combine(number) for number in range(100)}
    said = {}
    for number, text in TEMPLATE_LINE.findall(refuse(files)):
        said.setdefault(int(number), []).append(text.replace(f"policies.p{number}.", ""))
    expected = {number: problems_of(file) for number, file in files.items()}
    assert {number: sorted(said.get(number, ())) for number in files} == expected
    assert 20 < sum(map(bool, expected.values())) < 80


def test_rules_that_the_program_accepts_are_accepted():
    for file in ACCEPTED:
        assert not problems_of(file), file
    policies = {f"p{number}": file | ALL for number, file in enumerate(ACCEPTED)}
    assert render({"policies": policies}).objects


def load_mistakes():
    """Yield the mistakes that values can have: of one policy, and not of YAML itself."""
    for mistake in yaml.safe_load(MISTAKES.read_text()):
        try:
            file = yaml.safe_load(mistake["file"])
            json.dumps(file)
        except (yaml.YAMLError, KeyError, TypeError, ValueError):
            continue
        if isinstance(file, dict) and "policies" not in file and problems_of(file):
            yield mistake["problem"], file


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_every_mistake_that_values_can_have_is_refused(helm):
    mistakes = dict(enumerate(load_mistakes()))
    assert len(mistakes) > 50
    files = {number: file for number, (_, file) in mistakes.items()}
    # Helm shows what is wrong by the schema, or else what is wrong by the templates.
    for pattern in (SCHEMA_LINE, TEMPLATE_LINE):
        found = pattern.findall(refuse(files, helm))
        numbers = {int(each if isinstance(each, str) else each[0]) for each in found}
        assert numbers
        files = {number: file for number, file in files.items() if number not in numbers}
    assert not [mistakes[number] for number in files]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"profiles": ["nowhere"]}, "profiles[0]: unknown profile 'nowhere'; known profiles are"),
        ({"rules": [{"regex": "(", "keep": True}]}, "rules[0].regex: regex '(' is refused by RE2"),
        (
            {"availability": {"mode": "check", "budget": "3s"}},
            "availability.budget: reviews may wait 3s for mirrors, but the API server waits only",
        ),
        (
            {"availability": {"mode": "check"}, "webhook": {"timeoutSeconds": 1}},
            "set webhook.timeoutSeconds to 2",
        ),
        (
            {
                "rules": [rule("a.io", {"target": "b.io", "allowlist": "a.txt"})],
                "files": {"a.txt": "# none\ndocker.io/x:1"},
            },
            "rules[0].mirrors[0].allowlist: a.txt, line 2: 'docker.io/x:1' is not a pattern",
        ),
        (
            {
                "rules": [rule("a.io", {"target": "b.io", "allowlist": "a.txt"})],
                "files": {"a.txt": "# none\n"},
            },
            "a.txt lists no images: write patterns such as docker.io/**",
        ),
        (
            {"rewriter": "policy", "rules": [rule("a.io", "b.io"), rule("b.io", "a.io")]},
            "rules[0]: the rules form a cycle: b.io → a.io → b.io",
        ),
    ],
)
def test_refusal_says_what_is_wrong(values, words):
    done = run_helm("template", "mirrorhook", CHART, values=values)
    assert done.returncode != 0
    assert words in done.stderr


@pytest.mark.parametrize(
    "values",
    [
        {"availability": {"mode": "check", "budget": "2500ms"}},
        {"availability": {"mode": "off", "budget": "5s"}},
        # A newer image may have profiles that the chart does not know.
        {"profiles": ["newer"], "image": {"tag": "9.0.0"}},
        {
            "rules": [rule("a.io", {"target": "b.io", "allowlist": "/mounted/a.txt"})],
        },
    ],
)
def test_values_that_may_work_are_accepted(values):
    assert render(values).objects

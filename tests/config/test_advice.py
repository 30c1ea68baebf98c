"""The advice on a mistake is right: whoever follows it gets what was meant, without a warning."""

from __future__ import annotations

import json
import re

import pytest

from webhook.config import ConfigurationError, parse_rules

# What the message tells to write.
ADVICE = re.compile(r"write (?:match: |regex: )?(?P<quote>'?)(?P<text>[^\s;']+)(?P=quote)")


def load(rule):
    """Return the policy of one rule, or None, and its problems and warnings."""
    try:
        configuration = parse_rules(json.dumps({"rules": [rule]}), "rules.yaml")
    except ConfigurationError as error:
        return None, list(map(str, error.problems))
    return configuration.policies["default"], list(configuration.warnings)


def follow(rule, key):
    """Return the policy after the advice on a rule was followed, and the advice."""
    _, (message,) = load(rule)
    advice = ADVICE.search(message)["text"]
    value = [advice] if key == "mirrors" else advice
    if "write regex:" in message:
        key = "regex"
        rule = {"mirrors": [r"m.example.com/x/\1"]}
    policy, messages = load({**rule, key: value})
    assert messages == []
    return policy, advice


@pytest.mark.parametrize(
    ("match", "image"),
    [
        # an image or an organisation instead of a registry
        ("nginx", "nginx:1.27"),
        ("bitnami/redis", "bitnami/redis"),
        ("library/nginx", "nginx"),
        ("docker.io/nginx", "nginx:1.27"),
        # tags and digests
        ("nginx:1.25", "nginx:1.25"),
        ("redis:7", "redis:7"),
        ("docker.io/nginx:1.25", "nginx:1.25"),
        ("library/nginx:1", "nginx:1"),
        ("quay.io/a/b:v1.0", "quay.io/a/b:v1.0"),
        ("quay.io/a/b@sha256:abc", "quay.io/a/b"),
        ("nginx@sha256:abc", "nginx"),
        ("docker.io/library/nginx:*", "nginx:1"),
        # URLs
        ("https://quay.io", "quay.io/a"),
        ("http://quay.io:5000/a/", "quay.io:5000/a/b"),
        ("https://quay.io/v2/", "quay.io/a"),
        ("docker.io/v2/library", "nginx"),
        ("quay.io/", "quay.io/a"),
        ("quay.io/a/", "quay.io/a/b"),
        ("/quay.io", "quay.io/a"),
        ("quay.io//a", "quay.io/a/b"),
        (" quay.io ", "quay.io/a"),
        # upper case
        ("Quay.io", "quay.io/a"),
        ("Docker.io", "nginx"),
        ("quay.io/Team/App", "quay.io/team/app"),
        # wildcards
        ("quay.io/*", "quay.io/a"),
        ("quay.io/a/**", "quay.io/a/b"),
        ("bitnami/*", "bitnami/redis"),
        ("*gcr.io", "eu.gcr.io/a"),
        ("*.gcr.io/*", "eu.gcr.io/a"),
        ("quay.io/*/app", "quay.io/team/app"),
        ("quay.io/team-*", "quay.io/team-a/app"),
        ("registry.*.example.org", "registry.eu.example.org/a"),
        ("**", "quay.io/a"),
        # other names of Docker Hub
        ("registry-1.docker.io", "nginx"),
        ("registry-1.docker.io/bitnami", "bitnami/redis"),
        ("hub.docker.com", "nginx"),
        ("docker.com", "nginx"),
        ("registry.hub.docker.com/library", "nginx"),
        ("index.docker.com", "nginx"),
        ("dockerhub.com", "nginx"),
        ("*.docker.io", "nginx"),
        ("docker.io:443", "nginx"),
        # ports
        ("quay.io:443", "quay.io/a"),
        ("quay.io:80/a", "quay.io/a/b"),
    ],
)
def test_advice_on_a_match_matches_the_image(match, image):
    policy, _ = follow({"match": match, "mirrors": ["m.example.com/x"]}, "match")
    assert policy.mirrors.decide(image).image.startswith("m.example.com/x")


def test_index_docker_io_is_docker_io():
    policy, messages = load({"match": "index.docker.io", "mirrors": ["m.example.com"]})
    assert messages == []
    assert policy.mirrors.decide("nginx").image == "m.example.com/library/nginx"


@pytest.mark.parametrize(
    ("target", "image"),
    [
        ("https://m.example.com", "m.example.com/a/b"),
        ("http://m.example.com:5000/", "m.example.com:5000/a/b"),
        ("https://m.example.com/v2/", "m.example.com/a/b"),
        ("v2/m.example.com/hub", "m.example.com/hub/a/b"),
        ("m.example.com/v2", "m.example.com/a/b"),
        ("m.example.com/v2/hub", "m.example.com/hub/a/b"),
        ("m.example.com/x/v2/hub", "m.example.com/x/hub/a/b"),
        ("m.example.com/artifactory/api/docker/hub", "m.example.com/hub/a/b"),
        ("m.example.com/hub/", "m.example.com/hub/a/b"),
        ("m.example.com/Hub", "m.example.com/hub/a/b"),
        ("m.example.com/hub/*", "m.example.com/hub/a/b"),
        ("m.example.com/hub:latest", "m.example.com/hub/a/b"),
        ("registry-1.docker.io", "docker.io/a/b"),
        ("hub.docker.com/x", "docker.io/x/a/b"),
    ],
)
def test_advice_on_a_mirror_gives_the_image(target, image):
    policy, _ = follow({"match": "quay.io", "mirrors": [target]}, "mirrors")
    assert policy.mirrors.decide("quay.io/a/b").image == image


@pytest.mark.parametrize(
    ("target", "image"),
    [
        ("m.example.com/$1", "m.example.com/a/b"),
        ("m.example.com/hub/${1}", "m.example.com/hub/a/b"),
        (r"https://m.example.com/\1/", "m.example.com/a/b"),
        ("m.example.com", "m.example.com/a/b"),
    ],
)
def test_advice_on_a_mirror_of_a_regex_gives_the_image(target, image):
    rule = {"regex": r"quay\.io/(.+)", "mirrors": [target]}
    _, (message,) = load(rule)
    advice = re.search(r"(?:write|as in) ([^\s;:]+)", message)[1]
    policy, messages = load({**rule, "mirrors": [advice]})
    assert messages == []
    assert policy.mirrors.decide("quay.io/a/b").image == image


@pytest.mark.parametrize("target", ["m.example.com/$1", r"m.example.com/\1"])
def test_group_in_a_rule_with_match_needs_no_group(target):
    _, (message,) = load({"match": "quay.io", "mirrors": [target]})
    assert "with match, the rest of the name follows by itself" in message


@pytest.mark.parametrize(
    ("regex", "image"),
    [
        ("nginx", "nginx:1"),
        (r"quay\.io", "quay.io/a"),
        ("quay.io", "quay.io/a"),
        (r"docker\.io/nginx", "nginx"),
        (r"docker\.io/(nginx|redis)", "redis"),
        ("bitnami/(.+)", "bitnami/redis"),
        (r"registry-1\.docker\.io/(.+)", "nginx"),
        (r"^index\.docker\.io/(.+)$", "nginx"),
        ("hub.docker.com/(.+)", "nginx"),
    ],
)
def test_advice_on_a_regex_matches_the_image(regex, image):
    policy, _ = follow({"regex": regex, "keep": True}, "regex")
    assert policy.mirrors.decide(image).outcome == "kept"


@pytest.mark.parametrize(
    ("regex", "advice"),
    [
        (r"docker.io/(.+)", r"has a dot in docker.io that matches any character: write docker\.io"),
        (r"docker\.io/library/nginx(:.*)?", "without tag and digest: remove that part"),
        (r"docker\.io/library/nginx@sha256:.+", "without tag and digest: remove that part"),
        (r"quay\.io/*", "has /*, which is any number of slashes: write /.*"),
        ("[a-z]+", "matches nothing, as it has to match a whole name"),
    ],
)
def test_regex_that_matches_something_else_gives_a_warning(regex, advice):
    _, (message,) = load({"regex": regex, "keep": True})
    assert advice in message


@pytest.mark.parametrize("match", ["docker.io/(.*)", r"docker\.io", "^quay"])
def test_regular_expression_as_match_is_named(match):
    _, (message,) = load({"match": match, "keep": True})
    assert message.endswith("is not a name: for a regular expression use regex")


@pytest.mark.parametrize(
    "rule",
    [
        {"match": "docker.io/bitnami"},
        {"match": "docker.io/library"},
        {"match": "registry:5000"},
        {"match": "harbor:443"},
        {"match": "localhost:80"},
        {"match": "[::1]:5000/a"},
        {"match": "quay.io/a/v2"},
        {"regex": r"docker\.io/(?:a|b)/(.+)"},
        {"regex": r"docker\.io/library/[[:alpha:]]+"},
        {"regex": r".*nginx.*"},
        {"regex": r"nginx.*"},
        {"regex": r"(.+)\.azurecr\.io/(.+)"},
        {"regex": r"docker\.io/[^/]+/(.+)"},
        {"regex": r"[^/]*:5000/(.+)"},
        {"regex": r"\Qgcr.io/a\E/(.+)"},
        {"regex": r"docker\.io/.*|gcr\.io/a"},
        {"regex": r"^docker\.io/library/nginx$"},
    ],
)
def test_rule_without_a_mistake_gives_no_warning(rule):
    assert load({**rule, "keep": True})[1] == []

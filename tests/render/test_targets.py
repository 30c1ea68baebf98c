"""The exact files of each target, and its warnings."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from webhook.core import Allowlist, Mirror, Original, Rule
from webhook.render import (
    WarningCode,
    render_containerd,
    render_crio,
    render_docker,
    render_k3s,
)

HUB = Rule("docker.io", ["harbor.example.com/hub", "mirror.gcr.io"])
FLAT_HUB = Rule("docker.io", [Mirror("flat.example.com", flatten=True)])
FLAT = Rule("quay.io", [Mirror("flat.example.com", flatten=True)])
REGEX = Rule(regex=r"quay\.io/(.+)", mirrors=[r"h.example.com/\1"])
ALL = Rule("*", ["cache.example.com"])
SUBDOMAINS = Rule("*.gcr.io", ["h.example.com/gcr"])
PART = Rule("docker.io/bitnami", ["h.example.com/legacy"])
KEPT = Rule("docker.io/our-team", keep=True)
INSIDE = Rule("quay.io/a", ["quay.io/b"])
LIST = Allowlist("docker.io/library/*\n", "list")
LISTED = Rule("quay.io", [Mirror("h.example.com", allowlist=LIST)])
SECRET = Rule("quay.io", [Mirror("h.example.com", pull_secrets=("harbor",))])


def test_containerd_has_a_file_for_each_registry():
    (file,) = render_containerd([HUB]).files
    assert file.path == "certs.d/docker.io/hosts.toml"
    assert file.text == (
        "# Written by mirrorhook render containerd.\n"
        'server = "https://registry-1.docker.io"\n'
        "\n"
        '[host."https://harbor.example.com/v2/hub"]\n'
        '  capabilities = ["pull", "resolve"]\n'
        "  override_path = true\n"
        "\n"
        '[host."https://mirror.gcr.io"]\n'
        '  capabilities = ["pull", "resolve"]\n'
    )


def test_crio_has_one_drop_in_that_includes_exceptions():
    (file,) = render_crio([HUB, KEPT]).files
    assert file.text == (
        "# Written by mirrorhook render crio.\n"
        "\n"
        "[[registry]]\n"
        'prefix = "docker.io"\n'
        'location = "docker.io"\n'
        "\n"
        "[[registry.mirror]]\n"
        'location = "harbor.example.com/hub"\n'
        "\n"
        "[[registry.mirror]]\n"
        'location = "mirror.gcr.io"\n'
        "\n"
        "[[registry]]\n"
        'prefix = "docker.io/our-team"\n'
        'location = "docker.io/our-team"\n'
    )


def test_k3s_has_different_paths_in_urls_and_equal_ones_in_rewrites():
    (file,) = render_k3s([HUB, Rule("quay.io", ["h.example.com/quay"])]).files
    assert yaml.safe_load(file.text) == {
        "mirrors": {
            "docker.io": {
                "endpoint": ["https://harbor.example.com/v2/hub", "https://mirror.gcr.io"]
            },
            "quay.io": {
                "endpoint": ["https://h.example.com"],
                "rewrite": {"^(.*)$": "quay/$1"},
            },
        }
    }


def test_k3s_has_a_rewrite_for_a_rule_for_a_path():
    rendered = render_k3s([PART])
    (file,) = rendered.files
    docker_io = yaml.safe_load(file.text)["mirrors"]["docker.io"]
    assert docker_io["endpoint"] == ["https://h.example.com"]
    assert docker_io["rewrite"].pop("^bitnami(/.*)?$") == "legacy$1"
    ((others, nowhere),) = docker_io["rewrite"].items()
    assert nowhere == "_/$1"
    assert re.fullmatch(others, "library/nginx")
    assert not re.fullmatch(others, "bitnami/redis")


def test_k3s_asks_the_registry_first_without_rewrites():
    (file,) = render_k3s([Rule("docker.io", ["h.example.com/hub"], original=Original.FIRST)]).files
    assert yaml.safe_load(file.text)["mirrors"] == {
        "docker.io": {"endpoint": ["https://registry-1.docker.io", "https://h.example.com/v2/hub"]}
    }


def test_k3s_asks_mirrors_for_an_image_at_the_name_that_it_has_there():
    rendered = render_k3s([Rule("quay.io/team/app", ["a.example.com/x/app", "b.example.com/app"])])
    (file,) = rendered.files
    quay_io = yaml.safe_load(file.text)["mirrors"]["quay.io"]
    assert quay_io["endpoint"] == ["https://a.example.com/v2/x", "https://b.example.com"]
    assert quay_io["rewrite"]["^team/app(/.*)?$"] == "app$1"
    assert not rendered.warnings


def test_k3s_does_not_ask_mirrors_for_a_name_that_is_not_theirs():
    (file,) = render_k3s([Rule("quay.io/app", ["a.example.com"])]).files
    rewrites = yaml.safe_load(file.text)["mirrors"]["quay.io"]["rewrite"]
    assert rewrites["^app$"] == "_/app"
    assert rewrites["^app/(.*)$"] == "$1"


def test_docker_has_the_mirrors_of_docker_hub_without_a_path():
    rendered = render_docker([HUB, Rule("quay.io", ["h.example.com"])])
    (file,) = rendered.files
    assert json.loads(file.text) == {"registry-mirrors": ["https://mirror.gcr.io"]}
    assert {warning.code: warning.misleads for warning in rendered.warnings} == {
        WarningCode.MIRROR_PATH: True,
        WarningCode.OTHER_REGISTRY: False,
    }


@pytest.mark.parametrize(
    ("render", "rules", "codes"),
    [
        (render_containerd, [FLAT], {WarningCode.FLATTEN: False}),
        (render_containerd, [REGEX], {WarningCode.REGEX: False}),
        (render_containerd, [REGEX, HUB], {WarningCode.REGEX: True}),
        (render_containerd, [ALL], {WarningCode.EVERY_REGISTRY: False}),
        (render_containerd, [SUBDOMAINS], {WarningCode.WILDCARD: False}),
        (render_containerd, [PART], {WarningCode.PATH_RULE: False}),
        (render_containerd, [PART, HUB], {WarningCode.PATH_BELOW: True}),
        (render_containerd, [KEPT, HUB], {WarningCode.PATH_BELOW: True}),
        (render_containerd, [KEPT], {}),
        (render_crio, [FLAT], {WarningCode.FLATTEN: False}),
        (render_crio, [REGEX], {WarningCode.REGEX: False}),
        (render_crio, [ALL], {WarningCode.EVERY_REGISTRY: False}),
        (render_crio, [SUBDOMAINS], {}),
        (render_crio, [Rule("*.gcr.io/a", ["h.example.com"])], {WarningCode.WILDCARD: True}),
        (render_crio, [SUBDOMAINS, Rule("*.gcr.io/a", keep=True)], {WarningCode.WILDCARD: True}),
        (render_crio, [Rule("*.io:5000", ["h.example.com"])], {WarningCode.WILDCARD: True}),
        (
            render_crio,
            [Rule("*.io", ["h.example.com"], original=Original.FIRST)],
            {WarningCode.ORIGINAL: True},
        ),
        (
            render_crio,
            [Rule("quay.io/a", [Mirror("h.example.com", flatten=True)])],
            {WarningCode.FLATTEN_BELOW: False},
        ),
        (render_crio, [PART, HUB, KEPT, INSIDE], {}),
        (render_k3s, [FLAT], {}),
        (render_k3s, [SUBDOMAINS], {WarningCode.WILDCARD: False}),
        (render_k3s, [PART, HUB], {WarningCode.PATH_RULE: False}),
        (render_k3s, [FLAT_HUB, PART], {WarningCode.PATH_BELOW: True}),
        (render_k3s, [PART], {}),
        (render_k3s, [KEPT, HUB], {}),
        (render_k3s, [INSIDE], {WarningCode.PATH_RULE: False}),
        (render_k3s, [Rule("quay.io", ["quay.io/b"])], {WarningCode.SAME_REGISTRY: False}),
        (
            render_k3s,
            [Rule("quay.io", ["a.example.com"], original=Original.NEVER)],
            {WarningCode.ORIGINAL: True},
        ),
        (
            render_k3s,
            [Rule("quay.io/a", ["a.example.com/b"], original=Original.FIRST)],
            {WarningCode.ORIGINAL: True},
        ),
        (
            render_k3s,
            [Rule("quay.io/a", ["a.example.com/b", "b.example.com/c"])],
            {WarningCode.PATH_RULE: False},
        ),
        (
            render_k3s,
            [Rule("quay.io", [Mirror("quay.io/b", flatten=True), "a.example.com"])],
            {WarningCode.SAME_REGISTRY: True},
        ),
        (
            render_k3s,
            [Rule("quay.io", ["a.example.com", Mirror("b.example.com", flatten=True)])],
            {WarningCode.FLATTEN: True},
        ),
        (render_containerd, [LISTED], {WarningCode.ALLOWLIST: False}),
        (render_crio, [SECRET], {WarningCode.PULL_SECRETS: False}),
        (render_docker, [FLAT], {WarningCode.OTHER_REGISTRY: False}),
        (render_docker, [FLAT_HUB], {WarningCode.FLATTEN: False}),
        (
            render_docker,
            [Rule("docker.io", ["a.example.com"], original=Original.NEVER)],
            {WarningCode.ORIGINAL: True},
        ),
    ],
)
def test_target_warns_of_what_it_cannot_express(render, rules, codes):
    warnings = render(rules).warnings
    assert {each.code: each.misleads for each in warnings} == codes
    assert all(each.names for each in warnings)

"""Container runtimes: containerd, k3s, Docker, and registries.conf, also by OpenShift."""

from __future__ import annotations

import pytest

from tests.imports.tools import decide, find_candidates, get_lines, import_text, summarize
from webhook.imports import RuleSet, UnreadableFileError
from webhook.imports.runtimes import import_hosts_toml

NEVER = "original never"
FIRST = "original first"


@pytest.mark.parametrize(
    ("folder", "text", "rules", "lines"),
    [
        (
            "docker.io",
            'server = "http://plain.example.com"\n[host."https://m.example.com"]\n',
            [("docker.io", "m.example.com", NEVER)],
            [1],
        ),
        (
            "docker.io",
            'server = "https://registry-1.docker.io"\n[host."https://m.example.com"]\n',
            [("docker.io", "m.example.com")],
            [],
        ),
        (
            "docker.io",
            'server = "https://up.example.com"\n[host."https://m.example.com"]\n',
            [("docker.io", "m.example.com", "up.example.com", NEVER)],
            [],
        ),
        (
            "r.io",
            'server = "https://r.io"\ncapabilities = ["push"]\n[host."https://m.io"]\n',
            [("r.io", "m.io", NEVER)],
            [1],
        ),
        (
            "r.io",
            (
                'ca = "/etc/ca.pem"\nskip_verify = true\nclient = "x"\ndial_timeout = "1s"\n'
                '[host."https://m.io"]\n[header]\nx = "y"\n'
            ),
            [("r.io", "m.io")],
            [1, 2, 3, 4, 6],
        ),
        (
            "r.io",
            (
                '[host."https://m.io"]\nca = "x"\ndial_timeout = "1s"\n'
                '[host."https://m.io".header]\na = "b"\n'
            ),
            [("r.io", "m.io")],
            [1, 1, 1],
        ),
        (
            "r.io",
            'capabilities = ["pull"]\nca = "x"\n[host."https://m.io"]\n',
            [("r.io", "m.io", NEVER)],
            [1, 2],
        ),
        # The API is at the path and /v2, unless the path ends so, or overrides it.
        ("r.io", '[host."https://m.io/v2/quay"]\n', [("r.io", "m.io/quay/v2")], []),
        ("r.io", '[host."https://m.io/v2/"]\n', [("r.io", "m.io")], []),
        ("r.io", '[host."https://m.io/quay"]\n', [], [0, 1]),
        ("r.io", '[host."https://m.io"]\noverride_path = true\n', [], [0, 1]),
        ("r.io", '[host."m.io"]\ncapabilities = ["PULL", "resolve"]\n', [("r.io", "m.io")], []),
        ("r.io", "[host.'https://m.io']\ncapabilities = ['pull']\n", [], [0, 1]),
        ("r.io", '[host."https://r.io"]\n[host."https://m.io"]\n', [("r.io", "m.io", FIRST)], []),
        ("_default", '[host."https://m.io"]\n', [("/[^/]+/(.+)/", r"m.io/\1")], []),
    ],
)
def test_hosts_toml_gives_rules_and_warnings(folder, text, rules, lines):
    rule_set = import_text("hosts.toml", text, f"certs.d/{folder}/hosts.toml")
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines


@pytest.mark.parametrize("origin", ["hosts.toml", "standard input", "home/downloads/hosts.toml"])
def test_hosts_toml_outside_of_the_folder_of_a_registry_is_refused(origin):
    with pytest.raises(UnreadableFileError, match="give the path as HOST/"):
        import_text("hosts.toml", '[host."https://m.io"]\n', origin)


def test_hosts_toml_default_is_for_registries_without_a_folder():
    rule_set = RuleSet("")
    for folder, text in (
        ("_default", '[host."https://m.io/v2/all"]\noverride_path = true\n'),
        ("quay.io", '[host."https://q.io"]\n'),
        ("own.io", 'server = "https://own.io"\n'),
        ("ghcr.io_5000_", '[host."https://g.io"]\n'),
    ):
        rule_set.origin = f"certs.d/{folder}/hosts.toml"
        import_hosts_toml(text, rule_set)
    assert decide(rule_set, "quay.io/a/b:1") == "q.io/a/b:1"
    assert decide(rule_set, "ghcr.io:5000/a/b:1") == "g.io/a/b:1"
    assert decide(rule_set, "own.io/a/b:1") == "own.io/a/b:1"
    assert decide(rule_set, "nginx") == "m.io/all/library/nginx"
    assert decide(rule_set, "q.io/a/b:1") == "q.io/a/b:1"


CONFIG_TOML = """\
version = 2
[plugins."io.containerd.grpc.v1.cri".registry]
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors]
    [plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
      endpoint = ["https://m.example.com", "https://registry-1.docker.io"]
    [plugins."io.containerd.grpc.v1.cri".registry.mirrors."quay.io"]
      endpoint = ["http://plain.example.com", "https://q.example.com/v2/quay"]
    [plugins."io.containerd.grpc.v1.cri".registry.mirrors."own.io"]
      endpoint = ["https://own.io"]
  [plugins."io.containerd.grpc.v1.cri".registry.configs."m.example.com".tls]
    insecure_skip_verify = true
"""
CONFIG_TOML_ALL = """\
[plugins.'io.containerd.cri.v1.images'.registry.mirrors.'*']
endpoint = ["https://all.example.com"]
"""


def test_config_toml_has_mirrors_in_the_old_form():
    rule_set = import_text("hosts.toml", CONFIG_TOML, "config.toml")
    assert [summarize(each) for each in rule_set.rules] == [
        ("docker.io", "m.example.com"),
        ("quay.io", "q.example.com/quay"),
    ]
    assert get_lines(rule_set) == [6, 10]
    rule_set = import_text("hosts.toml", CONFIG_TOML + CONFIG_TOML_ALL, "config.toml")
    assert decide(rule_set, "gcr.io/a/b:1") == "all.example.com/a/b:1"
    assert decide(rule_set, "own.io/a/b:1") == "own.io/a/b:1"
    assert decide(rule_set, "quay.io/a/b:1") == "q.example.com/quay/a/b:1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/x"\n', "config_path"),
        ("[plugins]\n", "without mirrors"),
        ("version = 2\n", "no host and no server"),
        ('[[registry]]\nlocation = "a.io"\n', "no host and no server"),
    ],
)
def test_config_toml_without_mirrors_is_refused(text, problem):
    with pytest.raises(UnreadableFileError, match=problem):
        import_text("hosts.toml", text, "certs.d/a.io/hosts.toml")


@pytest.mark.parametrize(
    ("text", "rules", "lines"),
    [
        (
            'mirrors:\n  docker.io:\n    endpoint: [m.io]\n    rewrite: {"^a/(.*)": "b/$1"}\n',
            [("docker.io/a", "m.io/b"), ("docker.io", "m.io")],
            [],
        ),
        (
            'mirrors:\n  a.io:\n    endpoint: [m.io]\n    rewrite: {".*/(.*)": "flat/$1"}\n',
            [(r"/a\.io/.*/(.*)/", r"m.io/flat/\1"), ("a.io", "m.io")],
            [],
        ),
        (
            'mirrors:\n  a.io:\n    endpoint: [m.io]\n    rewrite: {"(.*)": "x/$1"}\n',
            [("a.io", "m.io/x")],
            [],
        ),
        (
            'mirrors:\n  "*":\n    endpoint: [m.io]\n    rewrite: {"(.*)": "x/$1"}\n',
            [("/[^/]+/(.*)/", r"m.io/x/\1")],
            [],
        ),
        ('mirrors:\n  "*":\n    endpoint: [m.io]\n', [("/[^/]+/(.+)/", r"m.io/\1")], []),
        ("mirrors: {a.io: {endpoint: [a.io, m.io]}}", [("a.io", "m.io", FIRST)], []),
        ("mirrors: {a.io: {endpoint: [m.io, a.io, n.io]}}", [("a.io", "m.io", "n.io")], [1]),
        ("mirrors: {a.io: {endpoint: [m.io, 'https://m.io/v2']}}", [("a.io", "m.io")], []),
        ("mirrors: {a.io: {endpoint: ['https://m.io/x/v2', n.io]}}", [("a.io", "n.io")], [1]),
        ("mirrors: {a.io: {endpoint: ['https://m.io/v2/x']}}", [("a.io", "m.io/x")], []),
        (
            "mirrors: {a.io: {endpoint: ['https://me:secret@m.io', 'https://mirror/v2/a']}}",
            [("a.io", "m.io", "mirror:443/a")],
            [],
        ),
        (
            "mirrors: {a.io: {endpoint: ['https://m_n.io', m.io, 'm.io:x', 'https://m.io/v2/A']}}",
            [("a.io", "m.io")],
            [1, 1, 1],
        ),
        (
            "mirrors: {a.io: {endpoint: ['https://m_n.io']}, '*': {endpoint: [m.io]}}",
            [(r"/a\.io/.+/", "keep"), ("/[^/]+/(.+)/", r"m.io/\1")],
            [1, 1],
        ),
        ("mirrors: {docker.io: }\nconfigs: {a.io: {auth: {}}}", [], [1, 2]),
    ],
)
def test_k3s_gives_rules_and_warnings(text, rules, lines):
    rule_set = import_text("k3s", text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines


K3S_ALL = """\
mirrors:
  "*":
    endpoint: [https://all.example.com]
    rewrite: {".*/(.*)": "flat/$1"}
  docker.io:
    endpoint: [https://hub.example.com/v2/hub]
  quay.io:
  plain.io:
    endpoint: ["http://plain.example.com"]
configs:
  own.io: {auth: {username: a}}
"""


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx:1", "hub.example.com/hub/library/nginx:1"),
        ("gcr.io/a/b/c:1", "all.example.com/flat/c:1"),
        ("registry.k8s.io/pause:3", "all.example.com/pause:3"),
        ("quay.io/a/b", "all.example.com/flat/b"),  # no endpoints of its own
        ("own.io/a/b", "own.io/a/b"),  # with settings of its own
        ("plain.io/a/b", "plain.io/a/b"),
        ("hub.example.com/hub/a:1", "hub.example.com/hub/a:1"),
    ],
)
def test_k3s_asterisk_is_for_registries_without_mirrors(image, expected):
    assert decide(import_text("k3s", K3S_ALL), image) == expected


REGISTRIES = """\
[[registry]]
location = "docker.io"
blocked = true
[[registry.mirror]]
location = "m.example.com/hub"
insecure = true
[[registry.mirror]]
location = "n.example.com"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "n.example.com"
pull-from-mirror = "tag-only"

[[registry]]
prefix = "quay.io/team"
location = "moved.example.com/team"

[[registry]]
location = "quay.io/team"

[[registry]]
location = "bad.example.com"
blocked = true
"""


@pytest.mark.parametrize(
    ("text", "rules", "lines"),
    [
        (
            REGISTRIES,
            [
                ("docker.io", "m.example.com/hub", "n.example.com", NEVER),
                ("quay.io/team", "moved.example.com/team", NEVER),
            ],
            [1, 18, 21],
        ),
        (
            (
                '[[registry]]\nlocation = "a.io"\n[[registry.mirror]]\nlocation = "a.io"\n'
                '[[registry.mirror]]\nlocation = "m.io"\n'
            ),
            [("a.io", "m.io", FIRST)],
            [],
        ),
        (
            (
                '[[registry]]\nlocation = "a.io"\nmirror-by-digest-only = true\n'
                '[[registry.mirror]]\nlocation = "m.io"\n'
            ),
            [("a.io", "m.io")],
            [1],
        ),
        (
            (
                '[registries.search]\nregistries = ["a"]\n'
                '[registries.insecure]\nregistries = ["b"]\n'
                '[registries.block]\nregistries = ["c"]\n'
            ),
            [],
            [0, 1, 3, 5],
        ),
        # A typing error in a key.
        (
            (
                '[[registry]]\nlocaton = "a.io"\n[[registry]]\nlocation = "b.io"\n'
                '[[registry.mirror]]\nlocaton = "m.io"\n[[registry.mirror]]\nlocation = "n.io"\n'
            ),
            [("b.io", "n.io")],
            [1, 3],
        ),
        (
            (
                '[[registry]]\nlocation = "a.io"\n[[registry.mirror]]\nlocation = "m_n.io"\n'
                '[[registry.mirror]]\nlocation = "n.io"\n'
            ),
            [("a.io", "n.io")],
            [1],
        ),
        ('credential-helpers = ["x"]\n[aliases]\na = "b/c"\n', [], [0, 1, 2]),
    ],
)
def test_registries_conf_gives_rules_and_warnings(text, rules, lines):
    rule_set = import_text("registries.conf", text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines
    assert not any("left out: insecure" in each.message for each in rule_set.warnings)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[registry]]\nlocation = "https://a.io"\n', "line 1: location has a scheme"),
        ('[registries.search]\nregistries = ["a"]\n[[registry]]\nlocation = "a"\n', "mixes"),
        ("[other]\n", r"no \[\[registry\]\]"),
        ('[registry]\nlocation = "a.io"\n', "not an array of tables"),
    ],
)
def test_invalid_registries_conf_is_refused(text, problem):
    with pytest.raises(UnreadableFileError, match=problem):
        import_text("registries.conf", text)


OPENSHIFT = """\
apiVersion: config.openshift.io/v1
kind: ImageDigestMirrorSet
metadata: {name: digests}
spec:
  imageDigestMirrors:
  - source: registry.redhat.io
    mirrors: [a.example.com/redhat, b.example.com/redhat]
    mirrorSourcePolicy: NeverContactSource
  - source: "*.example.org"
    mirrors: [b.example.com/org]
  - source: empty.example.com
---
apiVersion: v1
kind: List
items:
- apiVersion: config.openshift.io/v1
  kind: ImageTagMirrorSet
  spec:
    imageTagMirrors:
    - source: registry.redhat.io
      mirrors: [a.example.com/redhat, c.example.com/redhat]
    - source: quay.io/team
      mirrors: [quay.io/team, b.example.com/team]
- apiVersion: operator.openshift.io/v1alpha1
  kind: ImageContentSourcePolicy
  spec:
    repositoryDigestMirrors:
    - source: registry.redhat.io
      mirrors: [0.example.com/redhat, a.example.com/redhat]
"""


def test_openshift_mirrors_of_a_source_are_merged():
    rule_set = import_text("openshift", OPENSHIFT)
    assert [summarize(each) for each in rule_set.rules] == [
        (
            "registry.redhat.io",
            "0.example.com/redhat",
            "a.example.com/redhat",
            "b.example.com/redhat",
            "c.example.com/redhat",
            NEVER,
        ),
        ("*.example.org", "b.example.com/org"),
        ("quay.io/team", "b.example.com/team", FIRST),
    ]
    # Only a.example.com is for digests and tags.
    assert get_lines(rule_set) == [6, 6, 6, 9, 11, 22]
    assert find_candidates(rule_set, "x.example.org/a:1") == ["b.example.com/org/a:1"]


def test_openshift_set_without_mirrors_of_its_kind_gives_a_warning():
    text = "kind: ImageTagMirrorSet\nspec: {imageDigestMirrors: [{source: a.io, mirrors: [m.io]}]}"
    rule_set = import_text("openshift", f"{text}\n---\n{OPENSHIFT}")
    assert "has no imageTagMirrors" in rule_set.warnings[0].message
    assert len(rule_set.rules) == 3


@pytest.mark.parametrize(
    ("text", "rules", "lines"),
    [
        (
            '{"registry-mirrors": ["https://m.io/", "n.io:5000"]}',
            [("docker.io", "m.io", "n.io:5000")],
            [],
        ),
        ('{"registry-mirrors": ["https://m.io/x", "http://n.io"]}', [], [1, 1, 1]),
        ('{"registry-mirrors": ["https://m.io/v2"]}', [("docker.io", "m.io/v2")], []),
        ('{"registry-mirrors": ["http://localhost:5000"]}', [("docker.io", "localhost:5000")], []),
    ],
)
def test_daemon_json_gives_rules_and_warnings(text, rules, lines):
    rule_set = import_text("daemon.json", text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines

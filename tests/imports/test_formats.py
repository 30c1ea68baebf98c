"""Import examples of every format."""

from __future__ import annotations

import pytest

from webhook.core import MirrorMap
from webhook.imports import FORMATS, RuleSet, UnreadableFileError

IMAGESWAP = """\
default::
docker.io::my.example.com/hub
quay.io::quay.example3.com
gitlab.com:registry.example.com/gitlab
#gcr.io:: # a comment
cool.io::
ghcr.io::my.example.com/mirror-
noswap_wildcards::twr.io, walrus.io
[EXACT]ghcr.io/fantasy/coolstuff:v1.0::my-local-registry.com/patched:latest
nonsense
"""
IMAGESWAP_DEFAULT = """\
default::default.example.com
docker.io::hub.example.com
cool.io::
"""
HARBOR = """\
rules:
  - name: docker.io rewrite rule
    matches:
      - '^docker.io'
      - '^quay\\.io/team/'
      - '^gcr.io/(a|b)/'
    excludes:
      - '^docker.io/our-team/'
      - '^docker.io/(library/)?ubuntu:.*$'
    replace: harbor.example.com/proxy
    checkUpstream: true
"""
REWRITE_RULES = """\
apiVersion: dev.flemzord.fr/v1alpha1
kind: RegistryRewriteRule
metadata: {name: all}
spec:
  rules:
    - match: '^docker\\.io/(.*)'
      replace: 'ecr.example.com/dockerhub/$1'
    - match: '^([^/]+/[^/]+)$'
      replace: 'ecr.example.com/dockerhub/$1'
    - match: '^gcr\\.io/([^/]+)/(.+)'
      replace: 'ecr.example.com/gcr/$1/$2'
    - match: '^quay\\.io/(.*)'
      replace: 'ecr.example.com/quay/$1'
      conditions: {namespaces: [production]}
"""
REPIMAGE = """\
containers:
- command:
  - /repimage
  - --prefix=mirror.example.com
  - --ignore-domains=registry.example.com,private.registry.local
"""
REGISTRY_PROXY = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: registry-proxy-config}
data:
  config.yaml: |
    excludeNamespaces:
    - kube-system
    proxies:
      docker.io: docker.example.com
    includeRegistries:
    - docker.io
    - quay.io
"""
KYVERNO_CALL = (
    r"regex_replace_all('^(localhost/|(?:[a-z0-9]+\\\\.)+[a-z0-9]+/)?(.*)$', "
    "'{{element.image}}', 'myregistry.example.com/$2' )"
)
KYVERNO = f"""\
apiVersion: kyverno.io/v1
kind: ClusterPolicy
spec:
  rules:
    - mutate:
        foreach:
        - patchStrategicMerge:
            spec:
              containers:
              - image: "{{{{ {KYVERNO_CALL} }}}}"
"""
KUIK = """\
apiVersion: kuik.enix.io/v1alpha1
kind: ClusterImageSetMirror
spec:
  imageFilter:
    include: ['docker\\.io/.*', 'quay.io/(a|b)/.*']
  mirrors:
    - registry: harbor.example.com
      path: /hub
      credentialSecret: {name: harbor}
---
apiVersion: kuik.enix.io/v1alpha1
kind: ReplicatedImageSet
spec:
  upstreams:
    - {registry: quay.io, path: thanos}
    - {registry: ghcr.io, path: thanos}
"""
REGISTRIES = """\
unqualified-search-registries = ["docker.io"]

[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "harbor.example.com/hub"
pull-from-mirror = "digest-only"
insecure = true

[[registry]]
prefix = "quay.io/team"
location = "mirror.example.com/team"
insecure = true

[[registry]]
prefix = "*.gcr.io"
[[registry.mirror]]
location = "harbor.example.com/gcr"

[[registry]]
location = "bad.example.com"
blocked = true

[[registry]]
location = "own.example.com"
"""
K3S = """\
mirrors:
  docker.io:
    endpoint:
      - "https://harbor.example.com"
    rewrite:
      "^rancher/(.*)": "mirrored/$1"
  quay.io:
    endpoint: ["https://a.example.com/v2/quay", "http://b.example.com"]
  "*":
    endpoint: ["https://all.example.com"]
  ghcr.io:
configs:
  harbor.example.com: {}
"""
DAEMON = '{"registry-mirrors": ["https://a.example.com", "b.example.com/", "http://c.com"]}'


HARBOR_OF_MAPPINGS = "rules:\n- replace: a.io\n  matches: [{docker.io: }]\n"


def import_text(format_, text, origin="file"):
    rule_set = RuleSet(origin)
    FORMATS[format_](text, rule_set)
    return rule_set


def summarize(found):
    if found.keep:
        return (found.name, "keep")
    return (found.name, *(mirror.target for mirror in found.mirrors))


@pytest.mark.parametrize(
    ("format_", "text", "rules", "lines"),
    [
        (
            "imageswap",
            IMAGESWAP,
            [
                ("docker.io", "my.example.com/hub"),
                ("docker.io/library", "my.example.com/hub"),
                ("quay.io", "quay.example3.com"),
                ("gitlab.com", "registry.example.com/gitlab"),
                ("cool.io", "keep"),
            ],
            [7, 8, 9, 10],
        ),
        (
            "harbor-container-webhook",
            HARBOR,
            [
                ("docker.io", "harbor.example.com/proxy"),
                ("quay.io/team", "harbor.example.com/proxy/team"),
                ("docker.io/our-team", "keep"),
            ],
            [6, 9, 11],
        ),
        (
            "mutating-registry-webhook",
            REWRITE_RULES,
            [
                ("docker.io", "ecr.example.com/dockerhub"),
                (r"/gcr\.io/([^/]+)/(.+)/", r"ecr.example.com/gcr/\1/\2"),
            ],
            [8, 14],
        ),
        (
            "repimage",
            REPIMAGE,
            [
                ("registry.example.com", "keep"),
                ("private.registry.local", "keep"),
                ("*", "mirror.example.com"),
            ],
            [],
        ),
        (
            "registry-proxy",
            REGISTRY_PROXY,
            [("docker.io", "docker.example.com")],
            [6, 12],
        ),
        (
            "kyverno",
            KYVERNO,
            [("/[^/]+/(.+)/", r"myregistry.example.com/\1")],
            [10],
        ),
        (
            "kube-image-keeper",
            KUIK,
            [
                ("docker.io", "harbor.example.com/hub"),
                ("quay.io/thanos", "ghcr.io/thanos"),
            ],
            [5, 9, 14],
        ),
        (
            "registries.conf",
            REGISTRIES,
            [
                ("docker.io", "harbor.example.com/hub"),
                ("quay.io/team", "mirror.example.com/team"),
                ("*.gcr.io", "harbor.example.com/gcr"),
                ("own.example.com", "keep"),
            ],
            [1, 3, 3, 10, 20],
        ),
        (
            "k3s",
            K3S,
            [
                ("docker.io/rancher", "harbor.example.com/mirrored"),
                ("quay.io", "a.example.com/quay"),
            ],
            [6, 8, 9, 11, 12],
        ),
        (
            "daemon.json",
            DAEMON,
            [("docker.io", "a.example.com", "b.example.com")],
            [1],
        ),
    ],
)
def test_import_gives_rules_and_warnings_with_lines(format_, text, rules, lines):
    rule_set = import_text(format_, text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert [warning.line for warning in rule_set.warnings] == lines
    MirrorMap(rule_set.rules)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx:1", "hub.example.com/nginx:1"),
        ("bitnami/redis", "hub.example.com/bitnami/redis"),
        ("quay.io/a/b:1", "default.example.com/a/b:1"),
        ("default.example.com/a/b:1", "default.example.com/a/b:1"),
        ("cool.io/a:1", "cool.io/a:1"),
    ],
)
def test_imageswap_default_applies_to_all_other_images(image, expected):
    rule_set = import_text("imageswap", IMAGESWAP_DEFAULT)
    assert MirrorMap(rule_set.rules).decide(image).image == expected
    assert not rule_set.warnings


@pytest.mark.parametrize(
    ("origin", "text", "rules", "warnings"),
    [
        (
            "certs.d/docker.io/hosts.toml",
            (
                '[host."https://h.example.com/v2/hub"]\noverride_path = true\n'
                '[host."https://m.example.com"]\n'
            ),
            [("docker.io", "h.example.com/hub", "m.example.com")],
            0,
        ),
        (
            "certs.d/r.example.com_5000_/hosts.toml",
            'server = "https://m.example.com"\n',
            [("r.example.com:5000", "m.example.com")],
            0,
        ),
        (
            "certs.d/quay.io/hosts.toml",
            (
                '[host."https://h.example.com/quay"]\n'
                '[host."https://p.example.com"]\ncapabilities = ["pull"]\n'
                '[host."http://plain.example.com"]\n'
                '[host."https://s.example.com"]\nskip_verify = true\n'
                '[host."https://push.example.com"]\ncapabilities = ["push"]\n'
            ),
            [("quay.io", "s.example.com")],
            5,
        ),
        ("certs.d/quay.io/hosts.toml", '[host."https://[m"]\n', [], 2),
        ("certs.d/_default/hosts.toml", '[host."https://m.example.com"]\n', [], 1),
        ("certs.d/quay.io/hosts.toml", 'server = "https://quay.io"\n', [], 1),
        ("config.toml", "[plugins]\n", [], 1),
    ],
)
def test_hosts_toml_is_for_the_registry_of_its_folder(origin, text, rules, warnings):
    rule_set = import_text("hosts.toml", text, origin)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert len(rule_set.warnings) == warnings


@pytest.mark.parametrize("format_", FORMATS)
def test_file_without_rules_gives_a_warning(format_):
    rule_set = import_text(format_, "{}" if format_ == "daemon.json" else "# nothing\n")
    assert rule_set.warnings
    assert not rule_set.rules or format_ == "repimage"


@pytest.mark.parametrize(
    ("format_", "text", "problem"),
    [
        ("registries.conf", '[registries.search]\nregistries = ["a"]\n', "version 1"),
        ("registries.conf", "a = 1\na = 2\n", "invalid TOML"),
        ("k3s", "mirrors:\n  a.io: {}\n  a.io: {}\n", "line 3: duplicate key 'a.io'"),
        ("k3s", "mirrors: [\n", "invalid YAML"),
        ("k3s", "- *\n", "invalid YAML"),
        ("k3s", "a: &a [*a]\n", "too large or nested too deep"),
        ("k3s", "mirrors: {a.io: {endpoint: [[x]]}}", "line 1: expected a list of strings"),
        ("harbor-container-webhook", HARBOR_OF_MAPPINGS, "line 3: expected a list of strings"),
        ("registry-proxy", "includeRegistries:\n-\n", "line 2: expected a list of strings"),
    ],
)
def test_file_of_another_format_is_refused(format_, text, problem):
    with pytest.raises(UnreadableFileError, match=problem):
        import_text(format_, text)


KUIK_MORE = """\
kind: ImageSetMirror
spec:
  images: {include: ['.*'], exclude: ['ghcr\\.io/team/.*', 'a|b']}
  mirrors: [{registry: m.example.com}]
---
kind: ImageSetMirror
spec: {mirrors: []}
---
kind: ReplicatedImageSet
spec:
  upstreams:
    - {registry: quay.io, imageFilter: {include: [a]}}
    - {registry: ghcr.io, credentialSecret: {name: s}}
---
kind: ReplicatedImageSet
spec: {upstreams: [{registry: only.example.com}]}
"""
HARBOR_MORE = """\
rules:
  - {matches: ['.*'], replace: m.example.com/all}
  - {matches: ['^a.io']}
  - {matches: [a.io, '^docker.io', '^a_b/'], excludes: ['^a.io'], replace: m.example.com}
"""
REWRITE_MORE = """\
kind: ConfigMap
---
kind: RegistryRewriteRule
spec:
  rules:
    - {match: '.*'}
    - {match: '^(.*)$', replace: 'm.example.com/all/$1'}
    - {match: 'x(.*)y', replace: '$1'}
"""
KYVERNO_MORE = """\
spec:
  a: "{{ regex_replace_all('^quay.io/(.*)', '{{e}}', 'm.example.com/quay/$1') }}"
  b: "{{ regex_replace_all_literal('^ghcr.io', '{{e}}', 'm.example.com/ghcr') }}"
  c: ["{{ regex_replace_all('(a|b)', '{{e}}', 'c') }}", null]
"""
K3S_MORE = """\
mirrors:
  a.io:
    endpoint: [https://m.example.com]
    rewrite:
      "^x(.)(.)$": "$2$1"
      "(.*)": "a/$1"
"""


@pytest.mark.parametrize(
    ("format_", "text", "rules", "warnings"),
    [
        (
            "kube-image-keeper",
            KUIK_MORE,
            [
                ("/[^/]+/(.+)/", r"m.example.com/\1"),
                ("ghcr.io/team", "keep"),
                ("quay.io", "ghcr.io"),
            ],
            6,
        ),
        (
            "harbor-container-webhook",
            HARBOR_MORE,
            [
                ("/[^/]+/(.+)/", r"m.example.com/all/\1"),
                ("docker.io", "m.example.com"),
                ("a.io", "keep"),
            ],
            3,
        ),
        (
            "mutating-registry-webhook",
            REWRITE_MORE,
            [("*", "m.example.com/all")],
            2,
        ),
        (
            "kyverno",
            KYVERNO_MORE,
            [("quay.io", "m.example.com/quay"), ("ghcr.io", "m.example.com/ghcr")],
            1,
        ),
        ("k3s", K3S_MORE, [("a.io", "m.example.com/a")], 1),
        ("registry-proxy", "proxies: {a.io: , b.io: https://m.example.com/}", None, 1),
    ],
)
def test_rare_forms_are_imported(format_, text, rules, warnings):
    rule_set = import_text(format_, text)
    wanted = rules or [("b.io", "m.example.com")]
    assert [summarize(each) for each in rule_set.rules] == wanted
    assert len(rule_set.warnings) == warnings


def test_duplicate_rule_is_left_out_with_a_warning():
    rule_set = import_text("imageswap", "default::\na.io::b.io\na.io::c.io\n")
    assert [summarize(each) for each in rule_set.rules] == [("a.io", "b.io")]
    assert str(rule_set.warnings[0]) == "file:3: left out: line 2 already has a rule for a.io"


def test_rules_that_form_a_cycle_are_left_out_with_a_warning():
    text = "default::\na.example.com::b.example.com\nb.example.com::a.example.com\n"
    rule_set = import_text("imageswap", text)
    assert [summarize(each) for each in rule_set.rules] == [("a.example.com", "b.example.com")]
    assert "form a cycle" in str(rule_set.warnings[0])

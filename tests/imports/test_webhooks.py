"""Other webhooks: their files, compared with what they do with images."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.imports.tools import decide, get_lines, import_text, summarize
from webhook.core import parse_reference
from webhook.imports import UnreadableFileError

NEVER = "original never"
DIGEST = "sha256:" + "0123456789abcdef" * 4

images = st.builds(
    "{}{}{}".format,
    st.sampled_from(
        ("", "docker.io/", "quay.io/", "gcr.io/", "eu.gcr.io/", "r.example.com:5000/", "h.io/")
    ),
    st.sampled_from(
        ("nginx", "ubuntu", "our-team/app", "team/app", "a/b/c", "library/ubuntu", "ubuntu-x")
    ),
    st.sampled_from((":1.2", ":latest", ":3-alpine")),
)

HARBOR = r"""
rules: []
extraRules:
  - name: docker.io rewrite rule
    matches:
      - '^docker.io'
      - '^quay\.io/team/'
    excludes:
      - '^docker.io/our-team/'
      - '^docker.io/(library/)?ubuntu:.*$'
    replace: harbor.example.com/proxy
  - name: ubuntu
    matches: ['^docker.io/(library/)?ubuntu:.*$']
    replace: harbor.example.com/ubuntu
    checkUpstream: true
    platforms: [linux/arm64]
webhook:
  namespaceSelector: {matchLabels: {a: b}}
"""


def test_harbor_rules_apply_in_order_and_excludes_only_to_their_rule():
    rule_set = import_text("harbor-container-webhook", HARBOR)
    assert decide(rule_set, "ubuntu:24.04") == "harbor.example.com/ubuntu/library/ubuntu:24.04"
    assert decide(rule_set, "nginx") == "harbor.example.com/proxy/library/nginx"
    assert decide(rule_set, "ubuntu-x:1") == "harbor.example.com/proxy/library/ubuntu-x:1"
    assert decide(rule_set, "our-team/app:1") == "our-team/app:1"
    assert decide(rule_set, "quay.io/team/app") == "harbor.example.com/proxy/team/app"
    assert decide(rule_set, "quay.io/teams/app") == "quay.io/teams/app"
    assert get_lines(rule_set) == [15, 16, 18]
    assert rule_set.checks_availability
    originals = {rule.original.value for rule in rule_set.rules if not rule.keep}
    assert originals == {"last", "never"}


def test_harbor_exclude_keeps_images_without_a_later_rule():
    text = HARBOR[: HARBOR.index("  - name: ubuntu")]
    rule_set = import_text("harbor-container-webhook", text)
    assert decide(rule_set, "ubuntu:24.04") == "ubuntu:24.04"
    assert decide(rule_set, "docker.io/library/ubuntu:24.04") == "docker.io/library/ubuntu:24.04"
    assert not rule_set.warnings
    assert not rule_set.checks_availability


@pytest.mark.parametrize(
    ("matches", "rules", "lines"),
    [
        ("[]", [], [2]),
        ("['^docker.io']", [("docker.io", "m.io/p", NEVER)], []),
        ("['^docker\\.io/library/']", [("docker.io/library", "m.io/p/library", NEVER)], []),
        ("['^eu.gcr']", [("/eu.gcr[^/]*/(.+)/", r"m.io/p/\1", NEVER)], []),
        ("['^a.io:5000/']", [("a.io:5000", "m.io/p", NEVER)], []),
        (
            "['^(docker|quay)\\.io/']",
            [("/(?:docker|quay)\\.io/(.+)/", r"m.io/p/\1", NEVER)],
            [],
        ),
        (
            "['^gcr.io/x/|^quay.io/']",
            [("gcr.io/x", "m.io/p/x", NEVER), ("quay.io", "m.io/p", NEVER)],
            [],
        ),
        (
            "['^docker.io/library/nginx']",
            [("/docker.io/(library/nginx.*)/", r"m.io/p/\1", NEVER)],
            [],
        ),
        ("['^docker.io/library/nginx$']", [], [2]),  # harbor-container-webhook adds :latest
        ("['^docker.io/library/nginx:1.*']", [], [2]),
        ("['^docker.io/library/nginx@.*']", [], [2]),
        ("['(?i)^docker.io']", [], [2]),
        ("['^(docker.io']", [], [2]),
        ("['nginx$']", [], [2]),
        ("['.*']", [("/[^/]+/(.+)/", r"m.io/p/\1", NEVER)], []),
        ("['^docker.io', '^docker.io/a/']", [("docker.io", "m.io/p", NEVER)], []),
    ],
)
def test_harbor_patterns_give_rules_and_warnings(matches, rules, lines):
    text = f"rules:\n- matches: {matches}\n  replace: m.io/p\n"
    rule_set = import_text("harbor-container-webhook", text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines


def rewrite_like_harbor(rules, image):
    """Return what harbor-container-webhook makes of an image."""
    reference = parse_reference(image)
    normal = f"{reference}" if reference.tag or reference.digest else f"{reference}:latest"
    for rule in rules:
        if not any(re.search(each, normal) for each in rule["matches"]):
            continue
        if not any(re.search(each, normal) for each in rule.get("excludes", [])):
            return f"{rule['replace']}/{reference.repository}{reference.suffix}"
    return None


PATTERNS = (
    r"^docker\.io",
    r"^docker\.io/library/",
    r"^docker.io/(library/)?ubuntu:.*$",
    r"^docker.io/our-team/",
    r"^quay\.io/team/.*",
    r"^(docker|quay)\.io/",
    r"gcr\.io/",
    r"^[^/]*gcr\.io/",
    r".*/app:.+",
    r"^docker.io/library/ubuntu",
    r"^r.example.com:5000/",
    r".*",
)
harbor_rules = st.lists(
    st.fixed_dictionaries(
        {
            "matches": st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2),
            "replace": st.sampled_from(("h.io/one", "h.io/two")),
        },
        optional={"excludes": st.lists(st.sampled_from(PATTERNS[:-1]), max_size=1)},
    ),
    min_size=1,
    max_size=3,
)


@given(harbor_rules, images)
def test_imported_harbor_rules_rewrite_as_the_tool_does(rules, image):
    rule_set = import_text("harbor-container-webhook", yaml.safe_dump({"rules": rules}))
    if any("more" in each.message or "part" in each.message for each in rule_set.warnings):
        return
    if any("kept, also" in each.message for each in rule_set.warnings):
        return
    if parse_reference(image).registry == "h.io":
        return  # what is at a mirror stays there
    wanted = rewrite_like_harbor(rules, image)
    assert decide(rule_set, image) == (wanted or image)


REWRITES = r"""
apiVersion: dev.flemzord.fr/v1alpha1
kind: RegistryRewriteRule
metadata: {name: all}
spec:
  rules:
    - match: '^docker\.io/(.*)'
      replace: 'ecr.example.com/dockerhub/$1'
      priority: 50
    - match: '^docker\.io/library/(.*)$'
      replace: 'special.example.com/$1'
      priority: 100
    - match: '^([^/]+/[^/]+)$'
      replace: 'ecr.example.com/dockerhub/$1'
    - match: '^gcr\.io/([^/]+)/(.+)'
      replace: 'ecr.example.com/gcr/$1/$2'
    - match: '^quay\.io/(.*)'
      replace: 'ecr.example.com/quay/$1'
      conditions: {namespaces: [production]}
"""


def test_mutating_registry_webhook_tries_rules_by_priority():
    rule_set = import_text("mutating-registry-webhook", REWRITES)
    assert decide(rule_set, "nginx:1") == "special.example.com/nginx:1"
    assert decide(rule_set, "bitnami/redis") == "ecr.example.com/dockerhub/bitnami/redis"
    assert decide(rule_set, "gcr.io/a/b/c:1") == "ecr.example.com/gcr/a/b/c:1"
    # The rule for names of two parts is for those with a registry: others have three there.
    pause = "registry.k8s.io/pause:3.9"
    assert decide(rule_set, pause) == f"ecr.example.com/dockerhub/{pause}"
    assert decide(rule_set, "quay.io/a/b") == "quay.io/a/b"
    assert get_lines(rule_set) == [19]
    assert {rule.original.value for rule in rule_set.rules if not rule.keep} == {"never"}


@pytest.mark.parametrize(
    ("match", "replace", "rules", "lines"),
    [
        (r"^docker\.io/(.*)", "m.io/$1", [("docker.io", "m.io", NEVER)], []),
        (r"^docker\.io/(.*)$", "m.io/hub/${1}", [("docker.io", "m.io/hub", NEVER)], []),
        (r"^docker\.io/", "m.io/hub/", [("docker.io", "m.io/hub", NEVER)], []),
        (r"^docker\.io/(?P<rest>.+)", "m.io/$rest", [("docker.io", "m.io", NEVER)], []),
        (r"^docker\.io/a/(.*)", "m.io/$1", [("docker.io/a", "m.io", NEVER)], []),
        (r"^(.*)$", "m.io/$1", [("*", "m.io", NEVER)], []),
        (
            r"^([^/]+)\.gcr\.io/(.*)",
            "m.io/$1/$2",
            [(r"/([^/]+)\.gcr\.io/(.*)/", r"m.io/\1/\2", NEVER)],
            [],
        ),
        (r"^a\.io/(.*):(.*)$", "m.io/$1:$2", [(r"/a\.io/(.*)/", r"m.io/\1", NEVER)], []),
        (r"^a\.io/(.*?)(:.*)?$", "m.io/$1$2", [(r"/a\.io/(.*?)/", r"m.io/\1", NEVER)], []),
        (r"docker\.io/(.*)", "m.io/$1", [("docker.io", "m.io", NEVER)], [3]),  # anywhere
        (r"^docker\.io/library/nginx.*", "m.io/nginx", [], [3]),  # drops the tag
        (r"^docker\.io/(.*)", "m.io/$1x", [], [3]),  # a group 1x, which there is not
        (r"^docker\.io/(.*)", "m.io/$1:latest", [], [3]),
        (r"^docker\.io/(.*)", "m.io/hub", [], [3]),
        (r"^docker\.io/(.*):v1$", "m.io/$1", [], [3]),
        (r"^a/(.*)|^b/(.*)", "m.io/$1", [], [3]),
        (r"docker\.io", "m.io/hub", [("docker.io", "m.io/hub", NEVER)], [3]),
        (r"^docker\.io", "m.io", [("docker.io", "m.io", NEVER)], []),
        (
            r"^docker\.io/([^:]+)(:.+)?",
            "m.io/$1$2",
            [(r"/docker\.io/([^:]+)/", r"m.io/\1", NEVER)],
            [],
        ),
        (r"^[^/]+", "m.io", [(r"/[^/]+(.*)/", r"m.io\1", NEVER)], []),
        (r"^a\.io/[^/]+", "m.io/x", [(r"/a\.io/[^/]+(.*)/", r"m.io/x\1", NEVER)], [3]),
        # A name without a dot is on Docker Hub.
        (r"^quay\.io/(.*)", "team/$1", [("quay.io", "docker.io/team", NEVER)], []),
        (r"^docker\.io/(.*)", "not a name/$1", [], [3]),
        ("(", "m.io/$1", [], [3]),
    ],
)
def test_mutating_registry_webhook_replacements(match, replace, rules, lines):
    rule = f"{{match: '{match}', replace: '{replace}'}}"
    text = f"kind: RegistryRewriteRule\nspec: {{rules: [\n{rule}]}}"
    rule_set = import_text("mutating-registry-webhook", text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines


def test_mutating_registry_webhook_ignores_a_priority_that_is_too_large():
    rule = f"{{match: '^a.io/(.*)', replace: 'm.io/$1', priority: {'9' * 5000}}}"
    text = f"kind: RegistryRewriteRule\nspec: {{rules: [{rule}]}}"
    rule_set = import_text("mutating-registry-webhook", text)
    assert [summarize(each) for each in rule_set.rules] == [("a.io", "m.io", NEVER)]


def rewrite_like_mutating_registry_webhook(rules, image):
    """Return what mutating-registry-webhook makes of an image, which has no port."""
    parts = image.split("/")
    if len(parts) == 1 or ("." not in parts[0] and parts[0] != "localhost"):
        image = f"docker.io/{'' if len(parts) > 1 else 'library/'}{image}"
    elif parts[0] == "docker.io" and len(parts) == 2:
        image = f"docker.io/library/{parts[1]}"
    for rule in sorted(rules, key=lambda rule: -rule["priority"]):
        if re.search(rule["match"], image):
            return re.sub(rule["match"], re.sub(r"\$(\d)", r"\\\1", rule["replace"]), image)
    return None


PAIRS = (
    (r"^docker\.io/(.*)", "m.example.com/hub/$1"),
    (r"^docker\.io/library/(.*)$", "m.example.com/library/$1"),
    (r"^([^/]+/[^/]+)$", "m.example.com/two/$1"),
    (r"^([^/]+)\.gcr\.io/(.+)", "m.example.com/gcr/$1/$2"),
    (r"^quay\.io/([^/]+)/(.*)", "m.example.com/$1-quay/$2"),
    (r"^gcr\.io/", "m.example.com/gcr/"),
    (r"^(.+)$", "m.example.com/all/$1"),
)


@given(st.lists(st.tuples(st.sampled_from(PAIRS), st.integers(-2, 3)), min_size=1), images)
def test_imported_replacements_rewrite_as_the_tool_does(pairs, image):
    rules = [
        {"match": match, "replace": replace, "priority": priority}
        for (match, replace), priority in pairs
    ]
    text = yaml.safe_dump({"kind": "RegistryRewriteRule", "spec": {"rules": rules}})
    rule_set = import_text("mutating-registry-webhook", text)
    if ":5000" in image or image.startswith("m.example.com"):
        return
    wanted = rewrite_like_mutating_registry_webhook(rules, image)
    assert decide(rule_set, image) == (wanted or image)


REGISTRY_PROXY = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: registry-proxy-config}
data:
  config.yaml: |
    enabled: true
    proxies:
      docker.io: docker.example.com
      k8s.gcr.io: ""
    excludeNamespaces:
    - kube-system
    includeNamespaces:
    - "*"
    podSelector:
      app: nginx
    namespaceSelector: {}
"""


@pytest.mark.parametrize(
    ("text", "rules", "lines"),
    [
        (REGISTRY_PROXY, [("docker.io", "docker.example.com", NEVER)], [9, 10, 14]),
        (REGISTRY_PROXY.replace("enabled: true", "enabled: false"), [], [6]),
        (REGISTRY_PROXY.replace("    - kube-system", '    - "*"'), [], [10]),
        (
            "enabled: yes\nproxies: {a.io: https://b.io/}\nnamespaceSelector: {a: b}\n",
            [("a.io", "b.io", NEVER)],
            [3],
        ),
        ("proxies: {a.io: b.io}\n", [("a.io", "b.io", NEVER)], [1]),  # enabled is missing
        ("enabled: true\nincludeRegistries: [docker.io]\n", [], [2]),
    ],
)
def test_registry_proxy_gives_rules_and_warnings(text, rules, lines):
    rule_set = import_text("registry-proxy", text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (REGISTRY_PROXY.replace('k8s.gcr.io: ""', "k8s.gcr.io: ["), 11),
        (REGISTRY_PROXY.replace("    enabled: true\n", "    a: 1\n    a: 2\n"), 7),
        ('kind: ConfigMap\ndata:\n  x: "proxies: ["\n', 3),
    ],
)
def test_error_in_a_config_map_has_the_line_of_the_file(text, line):
    with pytest.raises(UnreadableFileError, match=f"line {line}: "):
        import_text("registry-proxy", text)


REPIMAGE = """\
containers:
- command:
  - /repimage
  - --prefix=mirror.example.com
  # - --ignore-domains=old.example.com
  - --ignore-domains=registry.example.com,private.registry.local
"""


def test_repimage_never_asks_the_original():
    rule_set = import_text("repimage", REPIMAGE)
    assert [summarize(each) for each in rule_set.rules] == [
        ("registry.example.com", "keep"),
        ("private.registry.local", "keep"),
        ("*", "mirror.example.com", NEVER),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "args: [--prefix, m.io, '--ignore-domains', 'a.io,b.io']\n",
        "args:\n- --prefix\n- m.io\n- --ignore-domains\n- a.io,b.io\n",
        'args:\n- "--prefix=m.io"  # --prefix=old.io\n- "--ignore-domains=a.io,b.io"\n',
        "repimage --prefix m.io --ignore-domains a.io,b.io\n",
    ],
)
def test_repimage_flags_may_have_their_values_in_the_next_item(text):
    rule_set = import_text("repimage", text)
    assert [summarize(each) for each in rule_set.rules] == [
        ("a.io", "keep"),
        ("b.io", "keep"),
        ("*", "m.io", NEVER),
    ]


SWAPPER = """\
config:
  dryRun: true
  imageSwapPolicy: {policy}
  imageCopyPolicy: delayed
  source:
    registries: [{{type: aws}}]
    filters:
      - jmespath: "obj.metadata.namespace == 'kube-system'"
      - jmespath: "contains(container.image, '.dkr.ecr.')"
      - jmespath: "starts_with(container.image, 'quay.io/team')"
      - jmespath: "starts_with(container.image, `nginx`)"
      - jmespath: "contains(container.image, ':latest')"
  target:
    type: aws
    aws: {{accountId: 123456789, region: {region}}}
"""


@pytest.mark.parametrize(
    ("policy", "region", "target", "original"),
    [
        ("always", "eu-west-1", "123456789.dkr.ecr.eu-west-1.amazonaws.com", ("original never",)),
        ("exists", "cn-north-1", "123456789.dkr.ecr.cn-north-1.amazonaws.com.cn", ()),
    ],
)
def test_k8s_image_swapper_puts_the_whole_image_behind_the_target(policy, region, target, original):
    rule_set = import_text("k8s-image-swapper", SWAPPER.format(policy=policy, region=region))
    assert summarize(rule_set.rules[-1]) == ("*", target, *original)
    assert rule_set.checks_availability is (policy == "exists")
    assert get_lines(rule_set) == [2, 4, 6, 8, 12]
    assert decide(rule_set, "redis:7") == f"{target}/docker.io/library/redis:7"
    for kept in ("nginx:1", "quay.io/teams/a:1", "1.dkr.ecr.eu-west-1.amazonaws.com/a:1"):
        assert decide(rule_set, kept) == kept
    assert decide(rule_set, f"{target}/a:1") == f"{target}/a:1"


GCP = """\
imageCopyPolicy: none
target:
  type: gcp
  gcp: {location: us-central1, projectId: p, repositoryId: r}
"""


@pytest.mark.parametrize(
    ("text", "rules", "lines"),
    [
        (
            GCP,
            [("*", "us-central1-docker.pkg.dev/p/r")],
            [],
        ),
        ("imageCopyPolicy: none\ntarget: {aws: {accountId: 1}}\n", [], [2]),
        (
            "target: {aws: {accountId: 1, region: x, prefix: /c,\nrole: a, ecrOptions: {b: c}}}",
            [("*", "1.dkr.ecr.x.amazonaws.com/c")],
            [0, 2, 2],
        ),
    ],
)
def test_k8s_image_swapper_targets(text, rules, lines):
    rule_set = import_text("k8s-image-swapper", text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines

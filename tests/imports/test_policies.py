"""Custom resources of kube-image-keeper, and policies of Kyverno."""

from __future__ import annotations

import posixpath
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.imports.tools import decide, get_lines, import_text, summarize
from webhook.core import MirrorMap, Original, parse_reference
from webhook.imports import UnreadableFileError

FIRST = "original first"
NEVER = "original never"


NAMESPACED = """\
kind: ImageSetMirror
metadata: {namespace: team}
spec:
  imageFilter: {include: ['quay.io/team/.*']}
  cleanup: {enabled: true}
  mirrors:
  - {registry: last.io, priority: 30}
  - {registry: first.io, path: x/, priority: 10}
  - {registry: middle.io, priority: 20, credentialSecret: {name: a}}
"""


def make_mirrors(filter_, more=""):
    return (
        "kind: ClusterImageSetMirror\n"
        f"spec:\n  {filter_}\n"
        f"  mirrors: [{{registry: h.io, path: /hub}}]\n{more}"
    )


@pytest.mark.parametrize(
    ("text", "rules", "lines"),
    [
        (
            make_mirrors(r"filter: {include: [{image: 'docker\.io/library/nginx:.+'}]}"),
            [(r"/docker\.io/(library/nginx)/", r"h.io/hub/\1", FIRST)],
            [],
        ),
        (
            make_mirrors("filter: {include: [{image: .*}]}"),
            [("/[^/]+/(.+)/", r"h.io/hub/\1", FIRST)],
            [],
        ),
        (
            make_mirrors("imageFilter: {include: [docker.io/.*]}"),
            [("docker.io", "h.io/hub", FIRST)],
            [],
        ),
        (
            make_mirrors("imageFilter: {exclude: ['quay.io/.*']}"),
            [("/quay.io/(.+)/", "keep"), ("/[^/]+/(.+)/", r"h.io/hub/\1", FIRST)],
            [],
        ),
        # Items for Pods only: every image.
        (
            make_mirrors("filter: {include: [{namespace: prod}]}"),
            [("/[^/]+/(.+)/", r"h.io/hub/\1", FIRST)],
            [3],
        ),
        (make_mirrors("filter: {}"), [], [3]),
        (make_mirrors("imageFilter: {}"), [], [3]),
        (make_mirrors("imageFilter: {include: ['docker.io/nginx']}"), [], [3]),  # without a tag
        (make_mirrors("imageFilter: {include: ['.*:v1']}"), [], [3]),
        (
            make_mirrors("priority: -1\n  imageFilter: {include: [docker.io/.*]}"),
            [("docker.io", "h.io/hub")],
            [],
        ),
        (
            NAMESPACED,
            [("quay.io/team", "first.io/x/team", "middle.io/team", "last.io/team", FIRST)],
            [2, 5, 9],
        ),
        ("kind: ClusterImageSetMirror\nspec:\n  mirrors: []\n", [], [3]),
        (
            make_mirrors(
                "imageFilter: {include: [docker.io/.*]}\n"
                "  namespaceFilter: {include: [prod]}\n  podFilter: {labels: {exclude: [a]}}\n"
                "  skipActiveCheck: true"
            ),
            [("docker.io", "h.io/hub", FIRST)],
            [4, 5, 6],
        ),
        (
            make_mirrors("imageFilter: {include: [docker.io/.*]}").replace(
                "mirrors: [", "mirrors: [{regstry: i.io}, "
            ),
            [("docker.io", "h.io/hub", FIRST)],
            [4],
        ),
    ],
)
def test_kube_image_keeper_mirrors_give_rules_and_warnings(text, rules, lines):
    rule_set = import_text("kube-image-keeper", text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines
    assert rule_set.checks_availability


def make_replicas(upstreams, more=""):
    return f"kind: ClusterReplicatedImageSet\nspec:\n{more}  upstreams:\n{upstreams}"


NGINX = """\
  - {registry: docker.io, path: /a/nginx, priority: 30, imageFilter: {include: [/a/nginx:.+]}}
  - {registry: quay.io, path: /b/nginx, priority: 10, imageFilter: {include: [/b/nginx:.+]}}
  - {registry: public.ecr.aws, path: c/n/, priority: 20, imageFilter: {include: [/c/n:.+]}}
"""
DISCARDED = """\
  - {registry: old.io, path: /a, discardAlternative: true, imageFilter: {include: [/a/.*]}}
  - {registry: new.io, path: /b, imageFilter: {include: [/b/.*]}}
"""
OLD_TO_NEW = [("old.io/a", "new.io/b", NEVER)]


@pytest.mark.parametrize(
    ("text", "rules", "lines"),
    [
        (
            make_replicas(NGINX),
            [
                (
                    r"/docker\.io/a/nginx/",
                    "quay.io/b/nginx",
                    "public.ecr.aws/c/n",
                    FIRST,
                )
            ],
            [3],
        ),
        (
            make_replicas(NGINX, "  priority: -1\n"),
            [
                (
                    r"/docker\.io/a/nginx/",
                    "quay.io/b/nginx",
                    "public.ecr.aws/c/n",
                )
            ],
            [3],
        ),
        (
            make_replicas(DISCARDED.replace("discardAlternative: true, ", ""), "  priority: -1\n"),
            [("old.io/a", "new.io/b", FIRST)],
            [3],
        ),
        (make_replicas(DISCARDED), OLD_TO_NEW, []),
        (
            make_replicas(
                "  - {registry: a.io, path: x, imageFilter: {include: ['/x/app-.+']}}\n"
                "  - {registry: b.io, path: y}\n"
            ),
            [(r"/a\.io/x(/app-.*)/", r"b.io/y\1", FIRST)],
            [],
        ),
        (
            make_replicas("  - {registry: a.io, path: x}\n  - {registry: b.io, path: y}\n"),
            [],
            [3],  # without an imageFilter nothing is replaced
        ),
        (make_replicas("  - {registry: a.io, path: x}\n"), [], [3]),
        (make_replicas(DISCARDED.replace("registry: old.io, ", "")), [], [3, 4]),
        (make_replicas(DISCARDED, "  podFilter: {labels: {include: [a]}}\n"), OLD_TO_NEW, [3]),
        (make_replicas(DISCARDED, "  skipActiveCheck: true\n"), OLD_TO_NEW, [3]),
        (
            make_replicas(
                "  - {registry: a.io, path: x, imageFilter: {include: ['/y/.*']}}\n"
                "  - {registry: b.io, path: y}\n"
            ),
            [],
            [4],
        ),
        (
            make_replicas(DISCARDED).replace("Cluster", ""),
            OLD_TO_NEW,
            [1],
        ),
    ],
)
def test_kube_image_keeper_replicas_give_rules_and_warnings(text, rules, lines):
    rule_set = import_text("kube-image-keeper", text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines


def test_kube_image_keeper_mirrors_images_of_upstreams():
    text = make_replicas(DISCARDED) + "---\n" + make_mirrors("filter: {include: [{image: .*}]}")
    rule_set = import_text("kube-image-keeper", text)
    assert decide(rule_set, "new.io/b/c:1") == "h.io/hub/b/c:1"


@pytest.mark.parametrize(
    ("text", "rules", "lines"),
    [
        (make_mirrors("imageFilter: {include: ['.*alpine.*']}"), 2, [3, 3]),
        (
            make_mirrors("imageFilter: {include: ['.*/app:.*']}")
            + "---\n"
            + make_mirrors("imageFilter: {include: ['a.io/.*']}").replace("h.io", "i.io"),
            4,
            [3, 3, 8],  # images of one filter that the other has, too
        ),
        (
            make_mirrors("imageFilter: {include: ['a.io/.*']}")
            + "---\n"
            + make_mirrors("priority: -1\n  imageFilter: {include: ['a.io/.*']}"),
            1,
            [9],  # the original comes between the mirrors
        ),
        ("kind: ClusterImageSetAvailability\n---\n" + make_replicas(DISCARDED), 1, [1]),
        (
            make_replicas(
                "  - {registry: a.io, path: x, imageFilter: {exclude: ['/x/y:.*']}}\n"
                "  - {registry: b.io, path: z}\n"
            ),
            2,
            [],
        ),
        (
            make_replicas(
                "  - {registry: a.io, path: x, imageFilter: {include: ['/x/y/.*']}}\n"
                "  - {registry: b.io, path: z}\n"
            ),
            1,
            [],
        ),
    ],
)
def test_kube_image_keeper_rare_forms(text, rules, lines):
    rule_set = import_text("kube-image-keeper", text)
    assert len(rule_set.rules) == rules
    assert get_lines(rule_set) == lines


def list_like_kube_image_keeper(sets, image):
    """Return the images that kube-image-keeper tries, in order."""
    reference = parse_reference(image)
    name = str(reference)
    alternatives = [((0, 0, 0, 0), name)]
    for spec in sets:
        include, exclude = spec["imageFilter"]["include"], spec["imageFilter"]["exclude"]
        if not any(re.fullmatch(each, name) for each in include):
            continue
        if any(re.fullmatch(each, name) for each in exclude):
            continue
        path = name.partition("/")[2]
        for position, mirror in enumerate(spec["mirrors"]):
            order = (spec["priority"], 1, mirror["priority"], position)
            alternatives.append((order, posixpath.join(mirror["registry"], mirror["path"], path)))
    return list(dict.fromkeys(each for _, each in sorted(alternatives, key=lambda each: each[0])))


FILTERS = (
    ".*",
    "docker.io/.*",
    "docker.io/library/.*",
    r"docker\.io/library/nginx:.+",
    "quay.io/.*",
    "quay.io/team/.+",
    "quay.io/team/app:.*",
)
mirror_sets = st.lists(
    st.fixed_dictionaries(
        {
            "priority": st.sampled_from((-1, -2)),
            "imageFilter": st.fixed_dictionaries(
                {
                    "include": st.lists(st.sampled_from(FILTERS), min_size=1, max_size=2),
                    "exclude": st.lists(st.sampled_from(FILTERS), max_size=1),
                }
            ),
            "mirrors": st.lists(
                st.fixed_dictionaries(
                    {
                        "registry": st.sampled_from(("m.example.com", "n.example.com")),
                        "path": st.sampled_from(("a", "b/c")),
                        "priority": st.sampled_from((0, 10, 20)),
                    }
                ),
                min_size=1,
                max_size=3,
            ),
        }
    ),
    min_size=1,
    max_size=3,
)


@given(
    mirror_sets,
    st.sampled_from(
        (
            "nginx:1",
            "redis:1",
            "bitnami/redis:1",
            "quay.io/a/b:1",
            "quay.io/team/app:1",
            "gcr.io/a/b:1",
        )
    ),
    st.booleans(),
)
def test_imported_mirrors_are_tried_as_by_kube_image_keeper(sets, image, precede):
    sets = [
        {**each, "priority": each["priority"] if precede else -each["priority"]} for each in sets
    ]
    documents = [{"kind": "ClusterImageSetMirror", "spec": each} for each in sets]
    rule_set = import_text("kube-image-keeper", yaml.safe_dump_all(documents))
    wanted = list_like_kube_image_keeper(sets, image)
    decision = MirrorMap(rule_set.rules).decide(image)
    got = [each.image for each in decision.candidates]
    if decision.rule is not None and not decision.rule.keep:
        original = [str(parse_reference(image))]
        first = decision.rule.original is Original.FIRST
        got = original + got if first else got + original
    assert (got or [str(parse_reference(image))]) == wanted


CALL = (
    r"{{ regex_replace_all('^(localhost/|(?:[a-z0-9]+\\.)+[a-z0-9]+/)?(.*)$', "
    "'{{element.image}}', 'my.corp.com/$2' )}}"
)
REPLACE = f"""\
apiVersion: kyverno.io/v1
kind: ClusterPolicy
spec:
  rules:
  - name: containers
    mutate:
      foreach:
      - list: "request.object.spec.containers"
        patchStrategicMerge:
          spec:
            containers:
            - image: "{CALL}"
  - name: initContainers
    preconditions:
      all:
      - key: "{{{{ request.object.spec.initContainers[] || `[]` | length(@) }}}}"
        operator: GreaterThanOrEquals
        value: 1
    mutate:
      foreach:
      - list: "request.object.spec.initContainers"
        patchStrategicMerge:
          spec:
            initContainers:
            - image: "{CALL}"
"""


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx:1", "my.corp.com/nginx:1"),
        ("bitnami/redis", "my.corp.com/bitnami/redis"),
        ("quay.io/a/b:1", "my.corp.com/a/b:1"),
        ("localhost/a:1", "my.corp.com/a:1"),
        # The sample takes no registry with a dash, and puts it behind the target.
        ("my-registry.example.com/a/b:1", "my.corp.com/my-registry.example.com/a/b:1"),
        ("my.corp.com/a:1", "my.corp.com/a:1"),
    ],
)
def test_kyverno_sample_replaces_every_registry(image, expected):
    rule_set = import_text("kyverno", REPLACE)
    assert decide(rule_set, image) == expected
    assert get_lines(rule_set) == [12, 25]  # docker.io/library/nginx, if written so
    assert {rule.original.value for rule in rule_set.rules if not rule.keep} == {"never"}


HARBOR = """\
apiVersion: kyverno.io/v1
kind: ClusterPolicy
spec:
  rules:
  - name: redirect-docker
    match:
      any:
      - resources: {kinds: [Pod], namespaces: [prod]}
    exclude: {any: [{resources: {namespaces: [kube-system]}}]}
    mutate:
      foreach:
      - list: request.object.spec.containers[]
        context:
        - name: imageData
          imageRegistry: {reference: "{{ element.image }}"}
        preconditions:
          any:
          - key: "{{imageData.registry}}"
            operator: Equals
            value: index.docker.io
        patchStrategicMerge:
          spec:
            containers:
            - name: "{{ element.name }}"
              image: harbor.example.com/k8s/{{imageData.repository}}:{{imageData.identifier}}
"""
PREPEND = """\
kind: Policy
spec:
  rules:
  - mutate:
      foreach:
      - list: "request.object.spec.containers"
        patchStrategicMerge:
          spec:
            containers:
            - name: "{{ element.name }}"
              image: registry.io/IMAGE.path}}:IMAGE.tag}}
""".replace("IMAGE", '{{images.containers."{{element.name}}"')


def test_kyverno_sample_for_harbor_is_for_docker_hub():
    rule_set = import_text("kyverno", HARBOR)
    assert [summarize(each) for each in rule_set.rules] == [
        ("docker.io", "harbor.example.com/k8s", NEVER)
    ]
    assert get_lines(rule_set) == [8, 9]
    text = HARBOR.replace("operator: Equals", "operator: NotEquals")
    assert get_lines(import_text("kyverno", text)) == [8, 9, 18]
    text = HARBOR.replace("value: index.docker.io", "value: [quay.io, ghcr.io]")
    text = text.replace("Equals", "AnyIn")
    assert [each.name for each in import_text("kyverno", text).rules] == ["quay.io", "ghcr.io"]


def test_kyverno_sample_that_prepends_a_registry_drops_the_old_one():
    rule_set = import_text("kyverno", PREPEND)
    assert decide(rule_set, "nginx:1") == "registry.io/nginx:1"
    assert decide(rule_set, "quay.io/a/b:1") == "registry.io/a/b:1"
    assert get_lines(rule_set) == [1, 11]


def make_call(pattern, target, literal=""):
    call = f"regex_replace_all{literal}('{pattern}', '{{{{element.image}}}}', '{target}')"
    return f'spec:\n  rules:\n  - mutate:\n      x: "{{{{ {call} }}}}"\n'


@pytest.mark.parametrize(
    ("text", "rules", "lines"),
    [
        (make_call("^quay.io/(.*)", "m.io/$1"), [("quay.io", "m.io", NEVER)], []),
        (make_call("^quay.io/", "m.io/", "_literal"), [("quay.io", "m.io", NEVER)], []),
        # nginx has no docker.io there, unless it is written so.
        (make_call("^docker.io/(.*)", "m.io/$1"), [("docker.io", "m.io", NEVER)], [4]),
        (make_call("(a|b)", "c"), [], [4]),
    ],
)
def test_kyverno_calls(text, rules, lines):
    rule_set = import_text("kyverno", text)
    assert [summarize(each) for each in rule_set.rules] == rules
    assert get_lines(rule_set) == lines


@pytest.mark.parametrize(
    ("key", "value", "lines"),
    [
        ("(image)", "quay.io/*", [8]),
        ("<(image)", "quay.io/*", [8]),
        ("(name)", "*", []),
        ("(name)", "{{ element.name }}", []),
        ("+(imagePullPolicy)", "Always", []),
    ],
)
def test_kyverno_condition_in_a_patch_gives_a_warning(key, value, lines):
    patch = f'spec: {{containers: [{{image: IMAGE,\n{key}: "{value}"}}]}}'
    text = (
        "spec:\n  rules:\n  - mutate:\n      foreach:\n      - list: a\n"
        f"        patchStrategicMerge: {{\n{patch}}}\n"
    )
    call = """"{{ regex_replace_all('^quay.io/(.*)', '{{element.image}}', 'm.io/$1') }}\""""
    rule_set = import_text("kyverno", text.replace("IMAGE", call))
    assert [each.name for each in rule_set.rules] == ["quay.io"]
    assert get_lines(rule_set) == lines


def test_kyverno_policy_that_replaces_no_image_gives_no_warning():
    other = "kind: Policy\nspec: {rules: [{mutate: {patchStrategicMerge: {a: b}}}]}\n"
    rule_set = import_text("kyverno", f"{make_call('^quay.io/(.*)', 'm.io/$1')}---\n{other}")
    assert not rule_set.warnings


@pytest.mark.parametrize(
    "text",
    [
        "kind: ClusterPolicy\nspec: {rules: [{validate: {message: no, pattern: {a: b}}}]}\n",
        "kind: ClusterPolicy\nspec: {rules: [{mutate: {patchStrategicMerge: {a: b}}}]}\n",
        "kind: MutatingPolicy\nspec: {mutations: [{patchType: JSONPatch}]}\n",
    ],
)
def test_kyverno_policy_of_another_kind_is_refused(text):
    with pytest.raises(UnreadableFileError, match="no policy of Kyverno"):
        import_text("kyverno", text)

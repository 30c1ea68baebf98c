"""The quick way through a document and the long one: nobody can tell which was taken."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.manifests.test_properties import PODS, in_yaml
from webhook.core import MirrorMap, Rule
from webhook.manifests import rewrite_manifests, rewriting, rewritten_parts, unreadable
from webhook.manifests.composing import UnusualError, composed, may_be_deep

DECIDE = MirrorMap([Rule("docker.io", ["m.example/hub"]), Rule("quay.io", keep=True)]).decide
ROOT = Path(__file__).parents[2]
CORPUS = sorted(
    path
    for folder in ("tests/cases", "manifests", "docs", "charts", "tests/manifests")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".yaml", ".yml", ".json", ".md", ".py", ".tpl"}
)

# Lines that a document may be made of, right or wrong, at any indent.
KEYS = st.sampled_from(
    """kind, apiVersion, spec, template, jobTemplate, metadata, labels, annotations, items,
    containers, initContainers, volumes, image, name, reference, imagePullPolicy, "image",
    ? image, 'im''age', [a], mirrorhook.io/rewrite, image, image, containers, {a: b}, <<,
    !!str image""".replace("\n    ", " ").split(", ")
)
SCALARS = st.sampled_from(
    """nginx;'nginx';"ngi\\x6ex";Pod;Deployment;List;PodList;apps/v1;v1;Never;disabled;12;
    ! 12;!!str 12;!x y;~;;null;on;[a, {image: b}];{image: nginx, name: a};[{image: nginx}];
    {};[;&a b;*a;&a;>-;a # image;Not Good;{containers: [{image: c}]};é;\u2028;a\u0085b;
    \ufeff;{template: {spec: {containers: [{image: d}]}}};|;|2-;>2""".replace("\n    ", "").split(
        ";"
    )
)
LINES = st.one_of(
    st.builds(
        "{}{}{}: {}".format,
        st.sampled_from(["", "  ", "    ", "      ", "        "]),
        st.sampled_from(["", "", "- ", "- - "]),
        KEYS,
        SCALARS,
    ),
    st.builds("{}- {}".format, st.sampled_from(["", "  ", "    "]), SCALARS),
    st.sampled_from(["---", "--- # a", "...", "  ---", "# image", "", "%YAML 1.1", "\t"])
    | st.sampled_from(["---x", "--- {kind: Pod}", "... # a", "...a", "'", '"']),
)
ENTRIES = st.builds(
    "  - {}: {}\n    {}: {}\n    name: {}".format,
    st.sampled_from(["image", "image", "image", "'image'", "name", "? image\n    "]),
    SCALARS,
    st.sampled_from(["imagePullPolicy", "image", "args", "<<", "[a]"]),
    SCALARS,
    SCALARS,
)
VOLUMES = st.builds("  - name: {}\n    image:\n      reference: {}".format, SCALARS, SCALARS)
PODS_BY_LINE = st.builds(
    "kind: {}\nmetadata:\n  {}: {}\nspec:\n  {}:\n{}\n  {}:\n{}\n".format,
    st.sampled_from(["Pod", "Pod", "! Pod", "'Pod'", "Deployment", "Pod\napiVersion: x/v1"]),
    st.sampled_from(["labels", "annotations", "name"]),
    st.sampled_from(["{}", "", "{a: b}", "[]", "{mirrorhook.io/rewrite: disabled}"])
    | st.just("{kubernetes.io/config.mirror: x, mirrorhook.io/rewrite: [a]}"),
    st.sampled_from(["containers", "volumes", "ephemeralContainers", "&a containers"]),
    st.lists(ENTRIES | VOLUMES, min_size=1, max_size=3).map("\n".join),
    st.sampled_from(["initContainers", "volumes", "containers", "x"]),
    ENTRIES | VOLUMES | LINES,
)
# Lines of the plainest kind, whose indents are right or wrong by a little.
INDENTS = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, -1, -2])
PLAIN_LINES = [
    (
        0,
        "kind: Deployment",
        "kind: Pod",
        "kind: Job # a",
        "apiVersion: apps/v1",
        "a: b",
        "- a",
    ),
    (0, "spec:", "spec:", "spec: {}", "spec: a", "# image", "", "image:", "status: 'x'"),
    (2, "template:", "template:", "replicas: 3", "a: [b, 'c']", "- a", "", "template: {}"),
    (4, "metadata:", "spec:", "spec:", "spec: # a", "image: a", "- spec:", "spec: 'a'"),
    (
        6,
        "containers:",
        "containers:",
        "volumes:",
        "x:",
        "containers: []",
        "initContainers:",
    ),
    (6, "- image: a", "- name: b", "- a", "- {image: c}", "-  image: d", "# a", "- 'a'"),
    (
        8,
        "image: a",
        "name: b",
        "image: 'c' # d",
        "imagePullPolicy: Never",
        "env:",
        "image: 1",
    ),
    (
        8,
        "- image: e",
        "- name: f",
        "- image",
        '- "g"',
        "image: h/i j",
        "image:",
        "image: b: c",
    ),
    (10, "- name: b", "image: a", "- x", "k: {a: b}", "- image: http://x", "name: [a]"),
]
OUTLINES = st.lists(
    st.sampled_from(PLAIN_LINES).flatmap(
        lambda lines: st.builds(
            lambda line, by: " " * (lines[0] + by if lines[0] else 0) + line,
            st.sampled_from(lines[1:]),
            INDENTS,
        )
    ),
    max_size=9,
)
HEAD = "kind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n"
HEADS = st.sampled_from(
    [
        HEAD,
        HEAD + "      - name: a\n",
        "---\nkind: Job\nspec:\n template:\n  spec:\n   containers:\n   - image: b\n",
        "---\n# a\nkind: Pod\nspec:\n      containers:\n        - image: b\n",
        "",
    ]
)
PLAINEST = st.builds(lambda head, lines: head + "\n".join([*lines, ""]), HEADS, OUTLINES)
STREAMS = st.builds(
    lambda parts, parting, newline: parting.join(parts).replace("\n", newline),
    st.lists(PODS_BY_LINE | LINES, max_size=6),
    st.sampled_from(["\n---\n", "\n---\n", "\n...\n", "\n"]),
    st.sampled_from(["\n", "\n", "\r\n", "\r"]),
)


def the_long_way(content):
    """Rewrite with the events of the YAML library only."""
    with patch.object(rewriting, "quick_images", side_effect=UnusualError):
        return rewrite_manifests(content, DECIDE)


@given(STREAMS)
@example("kind: Pod\nspec: {containers: [{image: ! 12}, {image: ! nginx}]}\n")
@example("kind: Pod\nspec: {containers: [{image: a}]}\nspec: {containers: [{image: b}]}\n")
@example("kind: Pod\nspec: {containers: [{image: &a a}, {image: *a}]}\n")
@example("kind: Pod\nspec: {containers: [{image: !x nginx}]}\n")
@example("kind: Pod\nspec: {containers: [{image: !!str 12}]}\n")
@example("kind: Deployment\nspec: {template: image}\n")
@example("kind: Pod\nspec: {volumes: [{name: [a], image: {reference: b}}, {image: c}]}\n")
@example("kind: PodList\nitems: [{spec: {containers: [{image: b}]}}, {kind: x/y}]\n")
@example("kind: Pod\nmetadata: {labels: {mirrorhook.io/rewrite: disabled}}\n"
         "spec: {containers: [{image: a}]}\n")  # fmt: skip
@example("kind: Pod\nspec: {containers: [{image: a, imagePullPolicy: Never}]}\n")
@example("kind: Pod\nspec: {containers: [{<<: {image: a}}]}\n")
@example("kind: Pod\nspec: {containers: [{[image]: a, image: b}]}\n")
@example("kind: Pod\nmetadata: {labels: {mirrorhook.io/rewrite: disabled}, name: b}\n"
         "spec: {containers: [{image: a}]}\n")  # fmt: skip
@example("kind: Pod\nmetadata: {annotations: {kubernetes.io/config.mirror: a}}\n"
         "spec: {containers: [{image: a}]}\n")  # fmt: skip
@example("kind: Job\napiVersion: x.y/v1\nspec: {template: {spec: {containers: [{image: a}]}}}")
@example("kind: Pod\nspec: {volumes: [{image: {reference: a, pullPolicy: Never}}]}\n")
@example("kind: Pod\nspec: {containers: [&a {image: a}]}\nx: [*a]\n")
@example("kind: Pod\nspec: {containers: [{image: a, <<: {name: b}}]}\n")
@example("{kind: " + "List, items: [{kind: " * 8 + "Pod, spec: {containers: [{image: a}]}"
         + "}]" * 8 + "}")  # fmt: skip
@example("{kind: " + "List, items: [{kind: " * 9 + "Pod, spec: {containers: [{image: a}]}"
         + "}]" * 9 + "}")  # fmt: skip
@example("kind: Pod\nspec: {ephemeralContainers: [{image: a}], containers: [{image: b}]}\n")
@example("kind: " + "List\nitems:\n- kind: " * 10 + "Pod\n  spec: {containers: [{image: a}]}")
def test_any_lines_become_the_same_in_both_ways(text):
    content = text.encode()
    assert rewrite_manifests(content, DECIDE) == the_long_way(content)


@given(PLAINEST)
@example("kind: Pod\nspec:\n  containers:\n  - image: a\n     - b\n")
@example("kind: Pod\nspec:\n  containers:\n  - image: a\n\n    - b\n")
@example("kind: Pod\nspec:\n  containers:\n  - {image: a}\n")
@example("  kind: Pod\n  spec:\n    containers:\n    - image: a\n")
@example("kind: Pod\nspec:\n  containers:\n  - image: a\n    image: b\n")
@example("kind: Pod # \rkind: Job\nspec:\n  containers:\n  - image: a\n")
@example("kind: Pod\nspec:\n  volumes:\n  - image:\n      reference: a\n")
@example("kind: Pod\nspec:\n  containers:\n  - name: a\n    env:\n    - image: b\n")
def test_the_plainest_lines_become_the_same_in_both_ways(text):
    content = text.encode()
    assert rewrite_manifests(content, DECIDE) == the_long_way(content)


@given(
    st.lists(PODS, min_size=1, max_size=3),
    st.sampled_from([None, '"', "'", "|", ">"]),
    st.booleans() | st.none(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_pods_become_the_same_in_both_ways(pods, style, flow, newline):
    content = in_yaml(pods, style, flow, newline).encode()
    assert rewrite_manifests(content, DECIDE) == the_long_way(content)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_of_ours_becomes_the_same_in_both_ways(path):
    content = path.read_bytes()
    assert rewrite_manifests(content, DECIDE) == the_long_way(content)


def test_usual_manifests_go_the_quick_way():
    text = "kind: Pod\nspec: {containers: [{image: a, args: ['x && y', '*.z', a&b]}]}\n"
    with patch.object(rewriting, "images_of", side_effect=AssertionError):
        (image,) = rewrite_manifests(text.encode(), DECIDE).images
    assert image.changes


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000 + "]" * 5000,
        "{a: " * 5000 + "}" * 5000,
        "- " * 5000,
        "?\t" * 5000,
        "\n".join(" " * depth + "a:" for depth in range(2000)),
    ],
    ids=["lists", "mappings", "compact", "keys", "indents"],
)
def test_what_may_take_too_much_stack_is_not_composed(text):
    assert may_be_deep(text)
    with pytest.raises(UnusualError):
        composed(text)


@given(STREAMS, st.integers(1, 9), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
@example("é😀\nkind: Pod\nspec: {containers: [{image: nginx}]}\n", 1, "utf-8")
@example(' \n\n {"kind":"Pod","spec":{"containers":[{"image":"a"}]}}\n{"a":"image"}', 1, "utf-8")
@example("%YAML 1.1\n---\nimage: a\n...\n# b\n---\n", 2, "utf-8")
def test_a_file_in_blocks_becomes_the_same_as_the_whole(text, size, encoding):
    content = text.encode(encoding)
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    whole = rewrite_manifests(content, DECIDE)
    parts = [*rewritten_parts(iter(blocks), DECIDE)]
    assert b"".join(part.content for part in parts) == whole.content
    assert tuple(image for part in parts for image in part.images) == whole.images
    assert tuple(told for part in parts for told in part.problems) == whole.problems


@given(st.binary(max_size=12), st.integers(1, 5), st.sampled_from([b"", b"\xff\xfe"]))
def test_what_is_no_text_is_told_with_its_byte_however_it_is_read(content, size, mark):
    content = mark + b"a\n" + content
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    assert unreadable(blocks) == unreadable([content])
    assert (wrong_byte(content, mark) is None) == (unreadable(blocks) is None)
    if (byte := wrong_byte(content, mark)) is not None:
        assert f"byte {byte} is not" in unreadable(blocks).text


def wrong_byte(content, mark):
    try:
        content.removeprefix(mark).decode("utf-16-le" if mark else "utf-8")
    except UnicodeDecodeError as error:
        return len(mark) + error.start
    return None


def test_no_more_is_read_than_the_documents_that_are_told():
    def endless():
        while True:
            yield yaml.safe_dump({"kind": "Pod"}).encode() + b"---\n"

    parts = rewritten_parts(endless(), DECIDE)
    assert [next(parts).content for _ in range(3)] == [b"kind: Pod\n"] + [b"---\nkind: Pod\n"] * 2

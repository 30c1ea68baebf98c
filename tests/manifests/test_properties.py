"""Only images change, in any manifest."""

from __future__ import annotations

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from webhook.core import MirrorMap, Rule
from webhook.manifests import rewrite_manifests

DECIDE = MirrorMap([Rule("docker.io", ["m.example/hub"]), Rule("quay.io", keep=True)]).decide
IMAGES = st.sampled_from(["nginx", "a/b:1", "quay.io/c", "gcr.io/d", "Not Good", "m.example/x"])
WORDS = st.sampled_from(["a", "é", "x y", "", "image: b", "# no", "---", "'", '"', "on", "1"])
VALUES = st.recursive(
    WORDS | st.booleans() | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
CONTAINERS = st.lists(
    st.fixed_dictionaries({"image": IMAGES | VALUES}, optional={"name": WORDS, "env": VALUES}),
    max_size=4,
)
VOLUMES = st.lists(st.fixed_dictionaries({"image": st.fixed_dictionaries({"reference": IMAGES})}))
SPECS = st.fixed_dictionaries(
    {"containers": CONTAINERS | VALUES},
    optional={"initContainers": CONTAINERS, "volumes": VOLUMES, "x": VALUES},
)
PODS = st.fixed_dictionaries(
    {"kind": st.just("Pod"), "spec": SPECS}, optional={"metadata": VALUES, "data": VALUES}
)


def in_yaml(pods, style, flow, newline):
    """Return Pods as one YAML stream in a style."""
    text = yaml.safe_dump_all(
        pods,
        default_style=style,
        default_flow_style=flow,
        allow_unicode=True,
        sort_keys=False,
    )
    return text.replace("\n", newline)


def expected(pod):
    """Return a Pod as it should be after rewriting."""
    spec = dict(pod["spec"])
    for field in ("containers", "initContainers"):
        if isinstance(spec.get(field), list):
            spec[field] = [mapped(entry, "image") for entry in spec[field]]
    if "volumes" in spec:
        spec["volumes"] = [{"image": mapped(v["image"], "reference")} for v in spec["volumes"]]
    return pod | {"spec": spec}


def mapped(entry, key):
    if not isinstance(entry, dict) or not isinstance(entry.get(key), str):
        return entry
    return entry | {key: DECIDE(entry[key]).image}


@given(
    st.lists(PODS, min_size=1, max_size=3),
    st.sampled_from([None, '"', "'"]),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_yaml_changes_only_its_images(pods, style, flow, newline):
    text = in_yaml(pods, style, flow, newline)
    before = [*yaml.safe_load_all(text)]
    result = rewrite_manifests(text.encode(), DECIDE)
    assert not any("valid YAML" in problem.text for problem in result.problems)
    assert [*yaml.safe_load_all(result.content.decode())] == list(map(expected, before))
    assert rewrite_manifests(result.content, DECIDE).content == result.content
    assert without_images(result.content.decode()) == without_images(text)


def without_images(text):
    """Return a text without the prefixes that rewriting adds."""
    return text.replace("m.example/hub/library/", "").replace("m.example/hub/", "")


@given(st.lists(PODS, min_size=1, max_size=3), st.sampled_from([None, 1, "\t"]))
def test_json_changes_only_its_images(pods, indent):
    text = json.dumps({"kind": "List", "items": pods}, indent=indent)
    result = rewrite_manifests(text.encode(), DECIDE)
    assert not any("valid YAML" in problem.text for problem in result.problems)
    assert json.loads(result.content)["items"] == list(map(expected, pods))


@given(st.text(alphabet="{}[]:,-&*!|>'\"\n #%imagekndPo\t<?@.\x00é", max_size=60))
def test_any_text_is_kept_where_nothing_changes(text):
    result = rewrite_manifests(("kind: Pod\nspec: \n" + text).encode(), DECIDE)
    if not any(image.changes for image in result.images):
        assert result.content == ("kind: Pod\nspec: \n" + text).encode()


@given(st.binary(max_size=80))
def test_any_bytes_are_kept(content):
    assert rewrite_manifests(b"image" + content, DECIDE).content == b"image" + content

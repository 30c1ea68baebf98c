"""Images in every style of YAML and JSON."""

from __future__ import annotations

import json

import pytest
import yaml

from webhook.core import MirrorMap, Rule
from webhook.manifests import rewrite_manifests

NEW = "m.example/hub/library/nginx:1"


@pytest.mark.parametrize(
    ("before", "replaced"),
    [
        ("image: nginx:1", f"image: {NEW}"),
        ("image:    nginx:1   # why", f"image:    {NEW}   # why"),
        ("image: 'nginx:1'", f"image: '{NEW}'"),
        ('image: "nginx:1" # "nginx:1"', f'image: "{NEW}" # "nginx:1"'),
        ('image: "nginx\\x3a1"', f'image: "{NEW}"'),
        ('image: "ngi\\\n      nx:1"', f'image: "{NEW}"'),
        ("image:\n      nginx:1", f"image:\n      {NEW}"),
        ("image: &a nginx:1", f"image: &a {NEW}"),
        ("image: &a\n      nginx:1", f"image: &a\n      {NEW}"),
        ("image: !!str nginx:1", f"image: !!str {NEW}"),
        ("image: !!str &a 'nginx:1'", f"image: !!str &a '{NEW}'"),
        ("image: &a !!str # b\n      nginx:1", f"image: &a !!str # b\n      {NEW}"),
        ("image: >-\n      nginx:1", f"image: >-\n      {NEW}"),
        ("image: |-\n      nginx:1", f"image: |-\n      {NEW}"),
        ("image: >- # nginx:1\n      nginx:1\n", f"image: >- # nginx:1\n      {NEW}\n"),
        ("image: &a |2-\n      nginx:1\n\n# x\n", f"image: &a |2-\n      {NEW}\n\n# x\n"),
        ("? image\n    : nginx:1", f"? image\n    : {NEW}"),
        ('"image": nginx:1', f'"image": {NEW}'),
        ('"im\\x61ge": nginx:1', f'"im\\x61ge": {NEW}'),
        ("image: nginx:1\n    x: &b {image: c}", f"image: {NEW}\n    x: &b {{image: c}}"),
    ],
)
def test_yaml_keeps_the_style_of_an_image(after, pod, before, replaced):
    text = pod(before)
    assert after(text) == pod(replaced)
    assert after(text.replace("\n", "\r\n")) == pod(replaced).replace("\n", "\r\n")
    assert yaml.safe_load(pod(replaced))["spec"]["containers"][0]["image"] == NEW


@pytest.mark.parametrize(
    "text",
    [
        "kind: Pod\nspec: {containers: [{name: a, image: OLD}]}\n",
        "kind: Pod\nspec: {containers: [{image: OLD, name: a,},],}",
        '{kind: Pod, spec: {"containers":[{"image":OLD}]}}',
        '{kind: Pod, spec: {"containers":[{"image":"OLD"}]}}',
        '{"kind":"Pod","spec":{"containers":[{"image":"OLD"}]}}',
        '{"kind":"Pod","spec":{"containers":[{"image":"OLD"}]}}{"kind":"Pod"}\n \n',
        '[]{"a":"\\ud83d\\ude00",\n\t"kind":"Pod","spec":{"containers":[{"image":"OLD"}]}}',
        '{"kind":"Pod","spec":{"containers":[{"image":"OLD","' + "k" * 3000 + '":1e5}]}}',
        '{"kind":"Pod","a":{},"b":[null,-1.5],"spec":{"containers":[{"image":"OLD"}]}}',
        '{"kind":"Pod","x":"a]}\\"{[","spec":{"containers":[{"image":"OLD"}]}}',
    ],
)
def test_flow_style_and_json_keep_all_other_bytes(after, text):
    assert after(text.replace("OLD", "nginx:1")) == text.replace("OLD", NEW)


@pytest.mark.parametrize("written", ["12", "1.5", "true", "null", "~", "", "[a]", "{a: b}"])
def test_value_that_is_not_a_string_is_not_an_image(rewritten, pod, written):
    result = rewritten(pod(f"image: {written}"))
    assert result.images == ()
    assert result.content.decode() == pod(f"image: {written}")


@pytest.mark.parametrize("written", ["'12'", "!!str 12", "12:30", "1.2.3"])
def test_string_that_looks_like_a_number_is_an_image(rewritten, pod, written):
    (image,) = rewritten(pod(f"image: {written}")).images
    assert image.changes


def test_image_that_needs_quotes_is_quoted(pod):
    decide = MirrorMap([Rule("docker.io", ["[fd00::1]:5000"])]).decide
    result = rewrite_manifests(pod("image: nginx").encode(), decide)
    assert result.content.decode() == pod('image: "[fd00::1]:5000/library/nginx"')


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ],
)
def test_encoding_is_kept(rewritten, pod, mark, encoding):
    text = "# größe 😀\n" + pod("image: nginx:1")
    result = rewritten(mark + text.encode(encoding))
    assert result.content == mark + text.replace("nginx:1", NEW).encode(encoding)


@pytest.mark.parametrize("content", [b"", b"\n", b"# only this\n", b"---\n...\n", b"--- \n"])
def test_file_without_content_is_kept(rewritten, content):
    result = rewritten(content)
    assert (result.content, result.images, result.problems) == (content, (), ())


def test_json_and_yaml_of_a_pod_are_rewritten_alike(after, pod):
    as_json = json.dumps(yaml.safe_load(pod("image: nginx:1")))
    assert yaml.safe_load(after(pod("image: nginx:1"))) == json.loads(after(as_json))

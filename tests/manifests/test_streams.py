"""Files with several documents, some of which are not manifests."""

from __future__ import annotations

import time

import pytest

NEW = "m.example/hub/library/nginx"
POD = "kind: Pod\nspec: {containers: [{name: a, image: nginx}]}\n"
WRONG = "image: {{ .Values.image }\n"


@pytest.mark.parametrize(
    "text",
    [
        POD + "---\n" + POD,
        "---\n" + POD + "---\n---\n" + POD,
        "--- # first\n" + POD + "---   \n" + POD + "...\n",
        POD + "...\n" + POD,
        "%YAML 1.1\n---\n" + POD + "...\n%YAML 1.1\n---\n" + POD,
        "# Source: a/templates/a.yaml\n---\n# Source: b\n" + POD + "\n\n---\n# c\n" + POD,
        POD + "--- {image: a}\n---\n" + POD,
        "a: |\n  ---\n  image: nginx\n---\n" + POD + "---\n" + POD,
        "apiVersion: v1\nkind: ConfigMap\ndata: {a: 'image: nginx'}\n---\n"
        + POD * 1
        + "---\n"
        + POD,
    ],
)
def test_stream_has_all_documents_rewritten_and_all_else_kept(rewritten, text):
    result = rewritten(text)
    assert not result.problems
    old = "{name: a, image: nginx}"
    assert result.content.decode() == text.replace(old, old.replace("nginx", NEW))
    assert len(result.images) == 2


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_invalid_document_does_not_affect_others(rewritten, newline):
    text = (POD + "---\n" + WRONG + "---\n" + POD).replace("\n", newline)
    result = rewritten(text)
    assert result.content.decode() == text.replace(" nginx", f" {NEW}")
    (problem,) = result.problems
    assert problem.line == 4
    assert "it is not valid YAML" in problem.text
    assert "helm template" in problem.text


@pytest.mark.parametrize(
    "wrong",
    [
        "image: [",
        "image: 'a",
        "image: a: b",
        "\timage: a",
        "image: *nothing",
        "image: \x00",
        "image: \x07",
        '{"kind": "Pod", "image": }',
        '{"image": "\\q"}',
        "[" * 100_000 + '"image"',
        "{a: " * 5000 + "image",
        "- " * 20_000 + "image",
        '{"a":' * 100_000 + '"image"' + "}" * 100_000,
        "image: !!",
        "image: &",
        "@image",
        "%FOO\nimage: a",
    ],
)
def test_invalid_document_is_reported_and_kept(rewritten, wrong):
    result = rewritten(wrong)
    assert result.content.decode() == wrong
    assert len(result.problems) <= 1
    assert result.images == ()
    for problem in result.problems:
        assert problem.line >= 1
        assert "\n" not in problem.text


@pytest.mark.parametrize("content", [b"image: \xff", b"\xff\xfei\x00m\x00\xd8", b"image: \xe9"])
def test_invalid_encoding_is_reported_and_kept(rewritten, content):
    result = rewritten(content)
    assert result.content == content
    assert "save the file in UTF-8" in result.problems[0].text


@pytest.mark.parametrize(
    "text", ["- a\n- image: b\n", "image: a\n", "'image'\n", "kind: {image: a}\n"]
)
def test_other_yaml_is_kept(rewritten, text):
    result = rewritten(text)
    assert (result.content.decode(), result.images, result.problems) == (text, (), ())


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("kind: [a\n", 1),
        ('{"kind":"Pod"\n', 1),
        ('{"kind":"Pod"} x\n', 1),
        ("a: 1\n{{- if .Values.enabled }}\nb: 1\n{{- end }}\n", 2),
        ("a: 1\n---\n{{ if .Values.enabled }}\nb: 1\n", 3),
        ("a: b\nreplicas: {{ .Values.replicas }}\n", 2),
        ("kind: Pod\nspec:\n  containers:\n  - image: {{ .Values.image }}\n", 4),
        ("kind: Pod\nspec:\n  containers: {{ .Values.containers }}\n", 3),
        ("kind: Pod\nspec:\n  containers: '{{ .Values.containers }}'\n", 3),
        ("kind: Pod\nspec: '{{ .Values.spec }}'\n", 2),
        ("kind: Pod\nspec:\n  containers:\n  - '{{ .Values.container }}'\n", 4),
        ("apiVersion: v1\nkind: '{{ .Values.kind }}'\n", 2),
        ("kind: Pod\nspec:\n  volumes:\n  - name: a\n    image: {reference: 1}\n", 5),
        ("k\x00i\x00n\x00d\x00", 1),
    ],
)
def test_broken_document_is_reported_with_its_line(rewritten, wrong, line):
    result = rewritten(wrong)
    assert result.content.decode() == wrong
    assert [problem.line for problem in result.problems] == [line]
    after = rewritten(f"{POD}---\n{wrong}\n---\n{POD}")
    assert after.content.decode().count(NEW) == 2
    assert [problem.line for problem in after.problems] == [line + 3]


def test_all_else_in_a_broken_document_is_rewritten(rewritten):
    images = ["{{ .a }}", "12", "nginx"]
    text = "kind: Pod\nspec:\n  containers:\n" + "".join(f"  - image: {i}\n" for i in images)
    result = rewritten(text)
    assert result.content.decode() == text.replace("nginx", NEW)
    assert [problem.line for problem in result.problems] == [4, 5]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"# \xe9\n" + POD.encode(), 1),
        (POD.encode() + b"# \xff\xfe \xe9\n", 3),
        (b"\n" + POD.encode() + b"x: '\xe9'\n---\n# fine\n", 4),
        (b"kind: ConfigMap\nx: \xc3\n---\n" + POD.encode(), 2),
        (POD.encode() + b"# \xf0\x9f", 3),
    ],
)
def test_byte_that_is_not_utf_8_does_not_keep_images_from_being_rewritten(rewritten, text, line):
    result = rewritten(text)
    assert result.content == text.replace(b"nginx", NEW.encode())
    (problem,) = result.problems
    assert problem.line == line
    assert "is not UTF-8: save the file in UTF-8" in problem.text


def test_byte_that_is_not_utf_8_in_an_image_is_kept(rewritten):
    text = POD.encode().replace(b"nginx", b"ngi\xffnx")
    result = rewritten(text)
    assert result.content == text
    assert result.images[0].decision.outcome == "invalid"


@pytest.mark.parametrize("end", [b"\x41", b"\x00\xd8", b"\x00\xd8\x41"])
def test_half_a_character_of_utf_16_is_kept_and_the_rest_is_rewritten(rewritten, end):
    result = rewritten(b"\xff\xfe" + f"{POD}# ".encode("utf-16-le") + end)
    expected = f"{POD.replace('nginx', NEW)}# ".encode("utf-16-le") + end
    assert result.content == b"\xff\xfe" + expected
    assert result.problems[0].line == 3


def test_invalid_image_is_reported_with_its_line(rewritten):
    result = rewritten("# x\n" + POD.replace("nginx", "'Not Good'"))
    (image,) = result.images
    assert (image.line, image.decision.outcome, image.changes) == (3, "invalid", False)


def test_time_is_linear_in_the_size_of_the_file(rewritten):
    def seconds(count):
        text = ("---\n" + POD + "x: [a, {b: c}, 'd', \"e\"]\n" * 3) * count
        began = time.process_time()
        assert len(rewritten(text).images) == count
        return time.process_time() - began

    assert seconds(4000) < 4 * 8 * min(seconds(500), seconds(500))

"""Parsing image names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.strategies import images, texts
from webhook.core import InvalidReferenceError, parse_reference
from webhook.core.reference import is_digest, is_loopback, is_path

CASES = Path(__file__).parents[1] / "cases"
REFERENCES = json.loads((CASES / "references.json").read_text())
IMAGES = json.loads((CASES / "images.json").read_text())
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize("case", REFERENCES, ids=[repr(case["input"])[:60] for case in REFERENCES])
def test_known_texts_are_parsed_as_docker_does(case):
    if not case["valid"]:
        with pytest.raises(InvalidReferenceError):
            parse_reference(case["input"])
        return
    reference = parse_reference(case["input"])
    assert str(reference) == case["normalized"]
    for part in ("registry", "repository", "tag", "digest"):
        assert getattr(reference, part) == case[part]


@pytest.mark.parametrize("case", IMAGES, ids=[case["image"][:60] for case in IMAGES])
def test_images_of_real_manifests_are_parsed(case):
    reference = parse_reference(case["image"])
    assert str(reference) == case["normalized"]
    assert reference.original == case["image"]
    for part in ("registry", "repository", "tag", "digest"):
        assert getattr(reference, part) == case[part]


@pytest.mark.parametrize(
    ("text", "registry", "repository"),
    [
        ("nginx", "docker.io", "library/nginx"),
        ("docker.io/nginx", "docker.io", "library/nginx"),
        ("index.docker.io/a/b", "docker.io", "a/b"),
        ("index.docker.io/nginx", "docker.io", "library/nginx"),
        ("a/b", "docker.io", "a/b"),
        ("localhost/a", "localhost", "a"),
        ("Host/a", "Host", "a"),
        ("host/a", "docker.io", "host/a"),
        ("host:5000/a", "host:5000", "a"),
        ("[::1]/a", "[::1]", "a"),
        ("[::1]:5/a", "[::1]:5", "a"),
        ("a.b/c", "a.b", "c"),
        ("Docker.io/a", "Docker.io", "a"),
    ],
)
def test_registry_is_found_as_docker_does(text, registry, repository):
    reference = parse_reference(text)
    assert (reference.registry, reference.repository) == (registry, repository)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "it is empty"),
        (" nginx", "it contains white space"),
        ("nginx\n", "it contains white space"),
        ("https://quay.io/a", "no scheme such as 'https'"),
        ("a" * 64, "64 hexadecimal digits are an image ID"),
        ("ngınx", "a character outside ASCII"),
        ("-.b/c", "'-.b' is not a registry host"),
        ("host:port/a", "'host:port' is not a registry host"),
        ("Nginx", "the repository 'Nginx' must be in lower case"),
        ("quay.io/A", "the repository 'A' must be in lower case"),
        ("a//b", "the repository 'a//b' may only contain"),
        ("quay.io/", "it has no repository"),
        ("quay.io/:a", "it has no repository"),
        ("a:", "the tag '' may only contain"),
        ("a:-b", "the tag '-b' may only contain"),
        ("a:" + "b" * 129, "the tag is longer than 128 characters"),
        ("a@sha256:" + "a" * 63, "is not a full sha256, sha384 or sha512 digest"),
        ("a@sha256:" + "A" * 64, "is not a full sha256, sha384 or sha512 digest"),
        ("a@md5:" + "a" * 32, "is not a full sha256, sha384 or sha512 digest"),
        ("a@", "the digest '' is not"),
        ("quay.io/" + "a" * 256, "the repository is longer than 255 characters"),
        ("a" * 248, "the repository is longer than 255 characters"),
        (f"a@{DIGEST}@{DIGEST}", "the digest"),
        ("quay.io/" + "a" * 250 + ":-", "the tag '-' may only contain"),
        ("docker.io/" + "a" * 248, "the repository is longer than 255 characters"),
        ("index.docker.io/" + "a" * 248, "the repository is longer than 255 characters"),
    ],
)
def test_error_says_what_is_wrong(text, expected):
    with pytest.raises(InvalidReferenceError) as caught:
        parse_reference(text)
    assert expected in caught.value.problem
    assert caught.value.text == text
    assert "is not an image reference: " in str(caught.value)


def test_error_on_long_text_is_short():
    with pytest.raises(InvalidReferenceError, match=r"… \(100000 characters\)") as caught:
        parse_reference("!" * 100_000)
    assert len(str(caught.value)) < 2000


def test_longest_names_are_parsed():
    repository = "a" * 247
    assert parse_reference(repository).repository == "library/" + repository
    assert is_path("a" * 255)
    assert not is_path("a" * 256)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(DIGEST, True), ("sha512:" + "0" * 128, True), (DIGEST[:-1], False), (DIGEST + "\n", False)],
)
def test_digest_has_algorithm_and_full_length(text, expected):
    assert is_digest(text) is expected


def test_references_to_the_same_image_are_equal():
    assert parse_reference("nginx") == parse_reference("docker.io/library/nginx")
    assert parse_reference("nginx:1") != parse_reference("nginx")
    assert len({parse_reference("nginx"), parse_reference("index.docker.io/nginx")}) == 1


# The grammar as one expression, written from the specification and not from the code.
ALNUM = "[a-z0-9]+"
COMPONENT = f"{ALNUM}(?:(?:[._]|__|[-]+){ALNUM})*"
LABEL = "(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
HOST = rf"(?:{LABEL}(?:\.{LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?"
GRAMMAR = re.compile(
    rf"(?:{HOST}/)?{COMPONENT}(?:/{COMPONENT})*(?::[\w][\w.-]{{0,127}})?"
    r"(?:@(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}))?",
    re.ASCII,
)


def accepts(text):
    """Return whether a text is an image name, by the grammar alone."""
    if re.fullmatch("[0-9a-f]{64}", text):
        return False
    first, slash, rest = text.partition("/")
    is_host = slash and (
        any(mark in first for mark in ".:") or first == "localhost" or first.lower() != first
    )
    whole = text if is_host else f"docker.io/{'' if slash else 'library/'}{text}"
    host, _, rest = whole.partition("/")
    if host in ("docker.io", "index.docker.io") and "/" not in rest:
        rest = "library/" + rest
    path = re.match(f"{COMPONENT}(?:/{COMPONENT})*", rest)
    return (
        GRAMMAR.fullmatch(f"{host}/{rest}") is not None
        and re.fullmatch(HOST, host) is not None
        and path is not None
        and len(path.group()) <= 255
    )


def find_problem(text):
    """Return what is wrong with a text, or None."""
    try:
        parse_reference(text)
    except InvalidReferenceError as error:
        return error.problem
    return None


@given(texts)
@example("a:b:c")
@example("a@b")
@example("localhost")
@example("docker.io")
@example("docker.io/")
@example("A:5000/b")
@example("a\n")
@example("a:1\n")
def test_parser_agrees_with_grammar(text):
    assert (find_problem(text) is None) == accepts(text)


@given(images)
def test_normal_form_is_the_same_image(image):
    reference = parse_reference(image)
    again = parse_reference(str(reference))
    assert again == reference
    assert str(again) == str(reference)
    assert reference.original == image


@given(st.text() | texts)
def test_error_is_printable(text):
    problem = find_problem(text)
    assert problem is None or problem.isprintable()
    assert "@" in text or "digest" not in (problem or "")


@pytest.mark.parametrize(
    ("registry", "here"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("127.1.2.3:443", True),
        ("[::1]", True),
        ("[::1]:5000", True),
        ("localhost.example", False),
        ("localhost:5000.example", False),
        ("1270.example", False),
        ("[fd00::1]:5000", False),
        ("docker.io", False),
    ],
)
def test_registries_of_the_machine_itself_are_known(registry, here):
    assert is_loopback(registry) is here

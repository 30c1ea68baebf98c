"""Every input of the corpus, and generated ones: what failed once does not fail again."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest
import uvloop
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.strategies import texts
from tests.fuzz.streams import fuzz_streams, split_answers
from tests.fuzz.targets import CORPUS, SEEDS, TARGETS, split_by_grammar
from webhook.core import InvalidReferenceError, parse_reference
from webhook.imports import FORMATS

INPUTS = [
    (name, path)
    for name in TARGETS
    for folder in (CORPUS / name, *SEEDS.get(name, ()))
    for path in sorted(folder.iterdir())
]


@pytest.mark.parametrize(
    ("name", "path"), INPUTS, ids=[f"{name}-{path.name}" for name, path in INPUTS]
)
def test_input_of_the_corpus_shows_no_fault(name, path):
    TARGETS[name](path.read_bytes())


def test_every_target_has_a_corpus():
    assert {path.name for path in CORPUS.iterdir()} == {*TARGETS}


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | texts
REVIEW_KEYS = """
apiVersion kind request uid object oldObject operation metadata name spec containers
initContainers image volumes reference annotations namespace dryRun subResource resource labels
imagePullSecrets
"""
RULE_KEYS = """
rules match mirrors target keep regex flatten mode policies proxy availability credentials
original profiles loops verify trusted record
"""
LOGIN_KEYS = """
auths credHelpers credsStore username password auth identitytoken registrytoken a.io
https://index.docker.io/v1/ *.b.io/c
"""


def documents(keys):
    """Return JSON with some keys."""
    names = st.sampled_from(keys.split())
    return st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())


POD = {"spec": {"containers": [{"name": "a", "image": "nginx"}]}}
REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "1",
        "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "object": POD,
    },
}
REVIEWS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["object", "oldObject", "operation", "name"], LEAVES)
).map(lambda extra: json.dumps(REVIEW | {"request": REVIEW["request"] | extra}).encode())
INPUT_STRATEGIES = {
    "reference": texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
    "rules": documents(RULE_KEYS),
    "review": documents(REVIEW_KEYS) | REVIEWS,
    "manifest": documents(REVIEW_KEYS).map(lambda text: b'{"kind": "Pod", "spec": ' + text + b"}"),
    "challenge": st.text('Bearer Basic realm=",\\/:.ab', max_size=60).map(str.encode),
    "answer": st.lists(st.binary(max_size=60), max_size=4).map(b"\0".join),
    "logins": documents(LOGIN_KEYS),
    "import": st.builds(
        lambda name, text: name.encode() + b"\0" + text,
        st.sampled_from([*FORMATS]),
        documents(RULE_KEYS) | st.text(max_size=60).map(lambda text: text.encode()),
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_generated_input_shows_no_fault(name):
    @given(INPUT_STRATEGIES[name])
    def run(data):
        TARGETS[name](data)

    run()


@given(texts)
@example("a\n")
@example("index.docker.io/a")
@example("A/b")
@example("é")
def test_parser_agrees_with_the_grammar_in_another_engine(text):
    try:
        found = parse_reference(text)[:4]
    except InvalidReferenceError:
        found = None
    assert found == split_by_grammar(text)


def test_random_streams_are_answered_alike_however_they_are_split():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        counts = runner.run(fuzz_streams(executions=150, seed=21))
    assert counts.findings == []
    assert counts.streams >= 150


@pytest.mark.parametrize(
    "received",
    [
        b"junk",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 99\r\n\r\n{}",
        b'HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{"kind":"Status"}',
    ],
)
def test_answers_in_another_form_are_faults(received):
    with pytest.raises(ValueError, match="answer"):
        split_answers(received)


def test_target_fails_if_the_package_has_a_fault(monkeypatch):
    wrong = partial(parse_reference, "b")
    monkeypatch.setattr("tests.fuzz.targets.parse_reference", lambda _: wrong())
    with pytest.raises(AssertionError):
        TARGETS["reference"](b"a")

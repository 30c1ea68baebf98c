"""Large reviews are read as small ones are, whatever stands where annotations are to be."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.admission.conftest import POLICY, Recorder, review
from webhook.admission import InvalidReviewError, answer, read_review
from webhook.admission.annotated import MAX_LENGTH, SIZE, Known
from webhook.admission.review import LARGE

PADDING = b" " * LARGE
MARK = '"annotations here"'
METADATA = {"name": "web", "annotations": "annotations here", "labels": {"a": "b"}}
SPEC = {"containers": [{"name": "web", "image": "nginx"}]}
BODY = json.dumps(review({"metadata": METADATA, "spec": SPEC}))
DEEP = "[" * 10**5 + "]" * 10**5
WRITTEN = [
    "null",
    "{}",
    "[]",
    '"x"',
    "1",
    '{"a": "b"}',
    '{"a": null}',
    '{"a": 1}',
    '{"a": "b", "c": {}}',
    '{"a": "b", "a": "c"}',
    '{"\\u0061": "\\ud83d\\ude00"}',
    '{"ä": "ö"}',
    f'{{"a": {DEEP}}}',
    f'{{"a": "b", "c": {DEEP}}}',
    '{"kubernetes.io/config.mirror": "x"}',
    '{"kubernetes.io/config.mirror": null}',
    '{"mirrorhook.io/rewrite": "disabled"}',
    '{"mirrorhook.io/rewr\\u0069te": "disabled"}',
    '{"mirrorhook.io/rewrite": "enabled"}',
    '{"mirrorhook.io/original-images": "{\\"old\\": \\"image\\"}"}',
    '{"mirrorhook.io/original-images": 1}',
]


def told(body):
    """Return the answer to a body, or in what words it is refused."""
    try:
        return json.loads(answer(body, POLICY, Recorder()))
    except InvalidReviewError as error:
        return str(error)


@pytest.mark.parametrize("written", WRITTEN, ids=lambda text: text[:50])
def test_large_reviews_are_answered_as_small_ones(written):
    body = BODY.replace(MARK, written).encode()
    assert len(BODY) < LARGE
    for _ in range(2):
        assert told(body + PADDING) == told(body)


def test_a_large_review_without_annotations_is_answered_as_a_small_one():
    for metadata in (None, {}, {"name": "web"}, [], "x"):
        body = json.dumps(review({"metadata": metadata, "spec": SPEC})).encode()
        assert told(body + PADDING) == told(body)
    body = json.dumps(review(object=None)).encode()
    assert told(body + PADDING) == told(body)


@given(st.dictionaries(st.text(), st.text() | st.none()))
def test_annotations_are_read_from_both_objects(annotations):
    pod = {"metadata": {"name": "web", "annotations": annotations}, "spec": SPEC}
    asked = review(pod, operation="UPDATE", oldObject=pod)
    _, request = read_review(json.dumps(asked).encode() + PADDING)
    assert request.object.metadata.annotations == annotations
    assert request.old_object.metadata.annotations == annotations


def test_what_is_not_utf_8_is_refused_there_too():
    body = BODY.replace(MARK, '{"a": "?"}').encode().replace(b"?", b"\xff")
    assert "not UTF-8" in told(body + PADDING)


def test_the_same_annotations_are_read_once():
    known = Known()
    first = known.read(b'{"a": "b"}')
    assert first == {"a": "b"}
    assert known.read(b'{"a": "b"}') is first
    assert known.read(b'{"a": "c"}') == {"a": "c"}
    assert known.read(b'{"a": "b"}') == first
    assert known.read(b'{"a": "b"}') is not first


def test_only_so_many_are_known():
    known = Known()
    contents = [b'{"a": "%b"}' % (b"x" * number) for number in range(SIZE + 1)]
    first, *_, last = [known.read(content) for content in contents]
    assert known.read(contents[-1]) is last
    assert known.read(contents[0]) is not first
    long = b'{"a": "%b"}' % (b"x" * MAX_LENGTH)
    assert known.read(long) is not known.read(long)


def test_what_is_no_text_is_not_known():
    known = Known()
    for _ in range(2):
        with pytest.raises(msgspec.ValidationError):
            known.read(b'{"a": 1}')

"""Any body gets an answer or a refusal with a reason, and neither holds a secret."""

from __future__ import annotations

import copy
import json
from contextlib import suppress

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.admission.conftest import POLICY, review
from tests.reviews import Results, answer, patch_of
from webhook.admission import INTERNAL_ERROR, InvalidReviewError, Policy

GOOD = json.dumps(review(None, "nginx")).encode()
POD = {
    "metadata": {"name": "a", "labels": {"a": "b"}, "annotations": {"c": "d"}},
    "spec": {
        "containers": [{"name": "a", "image": "nginx", "imagePullPolicy": "Always"}],
        "initContainers": [{"name": "b", "image": "redis"}],
        "volumes": [{"name": "v", "image": {"reference": "x", "pullPolicy": "Always"}}],
    },
}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"null", "Expected `object`, got `null`"),
        (b"[]", "Expected `object`, got `array`"),
        (b'"x"', "Expected `object`"),
        (b"{}", "missing required field"),
        (b"\xef\xbb\xbf" + GOOD, "the body is not JSON"),
        (GOOD[:-1], "the body is not JSON"),
        (GOOD + b"x", "the body is not JSON"),
        (GOOD.replace(b'"shop"', b'"\xff"'), "the body is not UTF-8 at byte"),
        (
            GOOD.replace(b"v1", b"v2", 1),
            "apiVersion is 'admission.k8s.io/v2', not admission",
        ),
        (
            GOOD.replace(b"AdmissionReview", b"Review"),
            "kind is 'Review', not AdmissionReview",
        ),
        (GOOD.replace(b'"u-1"', b'""'), "request.uid is empty"),
        (GOOD.replace(b'"u-1"', b"5"), "Expected `str`, got `int` - at `$.request.uid`"),
        (GOOD.replace(b'"u-1"', b"NaN"), "the body is not JSON"),
        (GOOD.replace(b'"shop"', b"[" * 10**5 + b"]" * 10**5), "the body is n"),
        (
            GOOD.replace(b'"web"', b"[" * 10**5 + b"]" * 10**5),
            "the body is nested too deep",
        ),
    ],
)
def test_invalid_review_is_refused_with_a_reason(body, expected):
    with pytest.raises(InvalidReviewError) as refusal:
        answer(body, POLICY, Results())
    assert expected in str(refusal.value)
    assert str(refusal.value).isprintable()


def check_answer(body):
    """Answer a body, and check that the answer applies to its Pod."""
    recorder = Results()
    try:
        response = json.loads(answer(body, POLICY, recorder))["response"]
    except InvalidReviewError:
        return
    assert recorder.errors == []
    assert response["allowed"] is True
    given = json.loads(body)["request"].get("object")
    operations = patch_of(response)
    after = jsonpatch.apply_patch(copy.deepcopy(given), operations)
    for each in operations:
        if each["op"] == "replace":
            image = jsonpatch.JsonPointer(each["path"]).resolve(given)
            jsonpatch.JsonPointer(each["path"]).set(after, image)
        else:
            assert each["path"].startswith("/metadata/annotations")
            after["metadata"].pop("annotations")
            if "annotations" in given["metadata"]:
                after["metadata"]["annotations"] = given["metadata"]["annotations"]
    assert after == given


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)


def list_paths(value, path=()):
    """The path of every part of a value."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from list_paths(value[key], (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from list_paths(each, (*path, index))


WHOLE = review(POD, operation="UPDATE", oldObject=copy.deepcopy(POD))
PATHS = [path for path in list_paths(WHOLE) if path]


@given(st.lists(st.tuples(st.sampled_from(PATHS), ANY), min_size=1, max_size=3), st.booleans())
def test_review_with_any_value_anywhere_is_answered_or_refused(changes, create):
    given = copy.deepcopy(WHOLE)
    if create:
        given["request"]["operation"] = "CREATE"
    for path, value in changes:
        place = given
        try:
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue
    check_answer(json.dumps(given).encode())


@given(ANY)
def test_review_of_any_json_is_answered_or_refused(value):
    check_answer(json.dumps(value).encode())


@given(st.binary(max_size=60))
def test_review_of_any_bytes_is_answered_or_refused(body):
    check_answer(body)


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=3))
def test_review_with_damage_is_answered_or_refused(place, damage):
    body = GOOD[:place] + damage + GOOD[place + 1 :]
    with suppress(InvalidReviewError):
        assert b'"allowed":true' in answer(body, POLICY, Results())


def test_review_takes_the_last_of_duplicate_keys(ask):
    body = GOOD.replace(b'"namespace": "shop"', b'"operation": "DELETE", "namespace": "shop"')
    assert ask(body).response["allowed"]


class Broken:
    """Rules and a recorder that raise an error."""

    def __init__(self, error, *methods):
        self.error = error
        self.methods = methods
        self.errors = []

    def __call__(self, _image):
        raise self.error

    def record_review(self, *_):
        if "record_review" in self.methods:
            raise self.error

    def record_error(self, _policy, _request, error):
        self.errors.append(error)
        if "record_error" in self.methods:
            raise self.error


ERRORS = [ValueError("x"), RecursionError(), MemoryError(), KeyError("y")]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("where", ["decide", "record_review", "record_review record_error"])
def test_internal_error_admits_the_pod_unchanged(error, where):
    broken = Broken(error, *where.split())
    policy = Policy("default", broken) if where == "decide" else POLICY
    response = json.loads(answer(GOOD, policy, broken))["response"]
    assert response == {
        "uid": "u-1",
        "allowed": True,
        "warnings": [INTERNAL_ERROR.warning],
    }
    assert broken.errors == [error]


SECRET = "hunter2"
HIDING = {
    "metadata": {"name": "a", "annotations": {"a": SECRET}, "labels": {"b": SECRET}},
    "spec": {
        "containers": [
            {
                "name": "a",
                "image": "nginx",
                "env": [{"name": "PASSWORD", "value": SECRET}],
                "args": [SECRET],
                "command": [SECRET],
                "lifecycle": SECRET,
            },
            {"name": "b", "image": "Bad Name"},
        ],
        "imagePullSecrets": [{"name": SECRET}],
        "volumes": [{"name": "v", "image": SECRET}],
    },
}


@pytest.mark.parametrize("metadata", [HIDING["metadata"], {"annotations": [SECRET]}])
def test_answer_holds_nothing_of_a_pod_but_its_images(ask, metadata):
    answered = ask(review(HIDING | {"metadata": metadata}, options={"x": SECRET}))
    texts = json.dumps([answered.warnings, answered.audit, answered.patch])
    assert answered.replaced
    assert SECRET not in texts
    assert SECRET not in repr(answered.recorder.results[0][2])


@pytest.mark.parametrize("key", ["uid", "name", "userInfo", "dryRun", "operation"])
def test_refusal_names_the_field_and_not_its_value(key):
    body = review(HIDING, **{key: [SECRET]})
    with pytest.raises(InvalidReviewError) as refusal:
        answer(json.dumps(body).encode(), POLICY, Results())
    assert f"$.request.{key}" in str(refusal.value)
    assert SECRET not in str(refusal.value)

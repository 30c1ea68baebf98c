"""No review takes long, and none leaves much behind, whatever a Pod author writes into it."""

from __future__ import annotations

import json

import pytest

from tests.admission.conftest import POLICY, review
from tests.reviews import Results, answer, patch_of, result_of
from webhook.admission import InvalidReviewError, ReviewOutcome
from webhook.admission.policy import MAX_IMAGES
from webhook.admission.request import MAX_VALUES, read_review
from webhook.admission.response import MAX_NAME, MAX_TEXT, MAX_WARNING

LONG = 200_000


def body_of(spec, metadata=None, **request):
    pod = {"metadata": {"name": "web", **(metadata or {})}, "spec": spec}
    return json.dumps(review(pod, **request)).encode()


def containers(count, **fields):
    return [{"name": f"c{n}", "image": f"a{n}", **fields} for n in range(count)]


def response_to(body):
    return json.loads(answer(body, POLICY))["response"]


def volumes(count):
    return [{"name": f"v{n}", "image": {"reference": f"a{n}"}} for n in range(count)]


LISTS = {
    "containers": lambda count: {"containers": containers(count)},
    "init containers": lambda count: {"initContainers": containers(count)},
    "volumes": lambda count: {"volumes": volumes(count)},
    "all lists": lambda count: {
        "containers": containers(1),
        "initContainers": containers(1),
        "volumes": volumes(count - 2),
    },
    "containers of an odd Pod": lambda count: {"containers": [*containers(count, command=1), 7]},
}


@pytest.mark.parametrize("place", LISTS)
def test_pod_with_too_many_images_is_left_unchanged_with_a_warning(place):
    assert patch_of(response_to(body_of(LISTS[place](MAX_IMAGES))))
    response = response_to(body_of(LISTS[place](MAX_IMAGES + 1)))
    assert patch_of(response) == []
    assert response["allowed"]
    reason = "it has 301 images, more than 300"
    assert response["warnings"] == [f"mirrorhook: no image was changed: {reason}"]
    assert response["auditAnnotations"] == {"skipped": reason}


def test_images_that_an_update_does_not_change_are_not_counted():
    before = containers(MAX_IMAGES + 50)
    after = [*before[:-1], {"name": before[-1]["name"], "image": "redis"}]
    body = body_of(
        {"containers": after}, operation="UPDATE", oldObject={"spec": {"containers": before}}
    )
    (operation,) = (each for each in patch_of(response_to(body)) if each["op"] == "replace")
    assert operation["path"] == f"/spec/containers/{MAX_IMAGES + 49}/image"


PLACES = {
    "containers": lambda many: body_of({"containers": [{}] * many}),
    "odd containers": lambda many: body_of({"containers": [1] * many}),
    "nested lists": lambda many: body_of({"containers": [[[[[]]]]] * (many // 4)}),
    "volumes": lambda many: body_of({"containers": containers(1), "volumes": [{}] * many}),
    "secrets": lambda many: body_of({"containers": containers(1), "imagePullSecrets": [{}] * many}),
    "labels": lambda many: body_of(
        {"containers": containers(1)}, {"labels": {str(n): "" for n in range(many)}}
    ),
    "owners": lambda many: body_of({"containers": containers(1)}, {"ownerReferences": [{}] * many}),
    "fields that are not read": lambda many: body_of(
        {"containers": containers(1), "x": [1] * many}
    ),
    "the old Pod": lambda many: body_of(
        {"containers": containers(1)},
        operation="UPDATE",
        oldObject={"spec": {"containers": [{}] * many}},
    ),
    "no Pod": lambda many: body_of({}, kind={"kind": "X"}, options={"a": [1] * many}),
}


@pytest.mark.parametrize("place", PLACES)
def test_objects_of_a_review_with_too_many_values_are_not_read(place):
    body = PLACES[place](MAX_VALUES + 10)
    request = read_review(body)[1]
    assert (request.uid, request.namespace) == ("u-1", "shop")
    assert not request.object
    assert not request.old_object
    result = result_of(body, POLICY)
    assert result.outcome is ReviewOutcome.SKIPPED
    if place == "no Pod":
        assert result.reason == "it is not a Pod"
        return
    assert result.reason == "the review has more than 50,000 values"
    response = response_to(body)
    assert response["uid"] == "u-1"
    assert response["warnings"] == [f"mirrorhook: no image was changed: {result.reason}"]
    assert patch_of(response) == []


def test_pod_with_many_values_is_rewritten():
    environment = [{"name": f"E{n}", "value": "x"} for n in range(MAX_VALUES // 3 - 100)]
    body = body_of({"containers": containers(1, env=environment)})
    assert len(body) > 500_000
    assert patch_of(response_to(body))


def test_review_with_too_many_values_is_refused_as_any_other():
    body = body_of({"containers": [{}] * MAX_VALUES})
    for broken, problem in [
        (body[:-1], "the body is not JSON"),
        (body.replace(b'"u-1"', b'""'), "request.uid is empty"),
        (body.replace(b'"u-1"', b"5"), "got `int` - at `\\$.request.uid`"),
        (body.replace(b"{}", b"[" * 100_000, 1), "nested too deep"),
        (body.replace(b"admission.k8s.io/v1", b"x", 1), "apiVersion is 'x'"),
    ]:
        with pytest.raises(InvalidReviewError, match=problem):
            read_review(broken)


LONG_TEXTS = {
    "name of a container": {"containers": [{"name": "n" * LONG, "image": "nginx"}]},
    "name of a container with an invalid image": {
        "containers": [{"name": "n" * LONG, "image": "A"}] * 20
    },
    "image": {"containers": [{"name": "a", "image": "i" * LONG}]},
    "registry": {"containers": [{"name": "a", "image": "i." * LONG + "com/x"}]},
    "pull policy": {"containers": [{"name": "a", "image": "nginx", "imagePullPolicy": "p" * LONG}]},
    "name of a volume": {"volumes": [{"name": "v" * LONG, "image": {"reference": "nginx"}}]},
}


@pytest.mark.parametrize("place", LONG_TEXTS)
def test_long_texts_are_cut_in_answer_and_log(place):
    body = body_of(LONG_TEXTS[place])
    response = response_to(body)
    assert all(len(warning) <= MAX_WARNING for warning in response.get("warnings", ()))
    decisions = json.loads(response["auditAnnotations"]["decisions"])
    assert json.loads(bytes(result_of(body, POLICY).decisions)) == decisions
    for decision in decisions:
        assert len(decision["name"]) <= MAX_NAME
        assert max(map(len, decision.values())) <= MAX_TEXT
    # A long image may only be in the patch if its Pod has it.
    if "patch" not in response:
        assert len(json.dumps(response)) < 20 * (MAX_NAME + 2 * MAX_TEXT) + 16 * MAX_WARNING


def test_warning_shows_the_reason_after_a_long_name():
    response = response_to(body_of({"containers": [{"name": "n" * LONG, "image": "A"}]}))
    assert "unchanged, invalid: 'A'" in response["warnings"][0]


@pytest.mark.parametrize("field", ["operation", "subResource"])
def test_reason_to_skip_a_request_is_short(field):
    result = result_of(body_of({}, **{field: "x" * LONG}), POLICY)
    assert result.outcome is ReviewOutcome.SKIPPED
    assert len(result.reason) < 100


@pytest.mark.parametrize(("old", "new"), [("AdmissionReview", "K" * LONG), ("k8s.io", "k" * LONG)])
def test_reason_to_refuse_a_review_is_short(old, new):
    body = body_of({}).replace(old.encode(), new.encode(), 1)
    with pytest.raises(InvalidReviewError) as caught:
        answer(body, POLICY, Results())
    assert len(str(caught.value)) < 400

"""Each condition of the outcome table, asked over TLS."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.server.process import JSON

CASES = json.loads((Path(__file__).parents[1] / "cases/requests.json").read_text())
POD_IMAGE = "/spec/containers/0/image"


def body_of(request):
    """The bytes that a case is about."""
    if "body_base64" in request:
        return base64.b64decode(request["body_base64"])
    if "body_recipe" in request:
        recipe = request["body_recipe"]
        repeated = recipe["repeat"] * recipe["count"]
        repeated += recipe["then_repeat"] * recipe["then_count"]
        return f"{recipe['prefix']}{repeated}{recipe['suffix']}".encode()
    return request["body"].encode()


def patched(response):
    """The pointers to images that a response replaces."""
    patch = response["response"].get("patch")
    assert ("patchType" in response["response"]) == (patch is not None)
    operations = json.loads(base64.b64decode(patch)) if patch else []
    return [each["path"] for each in operations if each["op"] == "replace"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_request_of_each_case_gets_its_answer(webhook, case):
    request = case["request"]
    content = body_of(request)
    chunked = "Transfer-Encoding" in request.get("headers", {})
    with webhook.client() as client:
        answer = client.request(
            request["method"],
            "/mutate",
            content=iter([content]) if chunked else content,
            headers={"content-type": request["content_type"]},
        )
    expected = case["expected"]["class"]
    assert answer.status_code < 500
    if answer.status_code != 200:
        assert expected in ("reject", "either")
        assert answer.json()["kind"] == "Status"
        assert answer.json()["message"]
        return
    assert expected != "reject"
    response = answer.json()["response"]
    assert response["allowed"] is True
    assert response["uid"] == json.loads(content)["request"]["uid"]
    if expected == "unparseable_image":
        assert POD_IMAGE not in patched(answer.json())
        assert response["warnings"]
    if case["expected"].get("patch") == "none":
        assert not patched(answer.json())


@pytest.mark.parametrize("version", ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"])
def test_review_is_answered_in_its_own_version(webhook, review_of, version):
    answer = webhook.review(review_of("nginx", "quay.io/a/b", version=version)).json()
    assert answer["apiVersion"] == version
    assert answer["kind"] == "AdmissionReview"
    assert answer["response"]["uid"] == "0b4b1a9e-1"
    assert patched(answer) == [POD_IMAGE]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "message"),
    [
        ("GET", "/mutate", {}, 405, "send a review by POST"),
        ("PUT", "/mutate", JSON, 405, "PUT is not allowed"),
        ("POST", "/mutate", {"content-type": "text/plain"}, 415, "'text/plain'"),
        ("POST", "/mutate", {}, 415, "content type is ''"),
        ("POST", "/mutate/nobody", JSON, 404, "policies: default, observed"),
        ("POST", "/mutate/", JSON, 404, "no policy at /mutate/"),
        ("POST", "/mutate/default/x", JSON, 404, "no policy at /mutate/default/x"),
        ("POST", "/", JSON, 404, "reviews go to /mutate"),
        ("GET", "/docs", {}, 404, "there is nothing at /docs"),
        ("POST", "/mutate", JSON, 400, "the body is not JSON"),
    ],
)
def test_request_without_review_is_refused_with_a_message(
    webhook, method, path, headers, status, message
):
    with webhook.client() as client:
        answer = client.request(method, path, content=b"{", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert message in answer.json()["message"]
    assert answer.json()["code"] == status


def test_refused_method_names_the_allowed_one(webhook):
    with webhook.client() as client:
        assert client.get("/mutate").headers["allow"] == "POST"


@pytest.mark.parametrize("spelling", ["Application/JSON", "application/json; charset=utf-8"])
def test_content_type_may_have_upper_case_and_parameters(webhook, review_of, spelling):
    with webhook.client() as client:
        headers = {"content-type": spelling}
        answer = client.post("/mutate", content=review_of("nginx"), headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/mutate", "/mutate/default", "/mutate?timeout=3s"])
def test_default_policy_has_two_paths(webhook, review_of, path):
    assert patched(webhook.review(review_of("nginx"), path).json()) == [POD_IMAGE]


def test_observing_policy_audits_what_it_would_do(webhook, review_of):
    answer = webhook.review(review_of("nginx"), "/mutate/observed").json()["response"]
    assert "patch" not in answer
    assert answer["auditAnnotations"]["mode"] == "observe"
    assert "harbor.example.com/dockerhub" in answer["auditAnnotations"]["decisions"]


def test_body_of_two_objects_of_three_mebibytes_is_read(webhook, review_of):
    padding = "x" * (3 * 1024 * 1024)
    old = {"metadata": {"annotations": {"a": padding}}, "spec": {"containers": []}}
    body = json.loads(review_of("nginx", operation="UPDATE", oldObject=old))
    body["request"]["object"]["metadata"]["annotations"] = {"a": padding}
    assert patched(webhook.review(json.dumps(body).encode()).json()) == [POD_IMAGE]


@pytest.mark.parametrize("chunked", [False, True], ids=["with length", "chunked"])
def test_body_over_seven_mebibytes_is_refused(webhook, chunked):
    blanks = b" " * (7 * 1024 * 1024 + 1)
    with webhook.client() as client:
        content = iter([blanks]) if chunked else blanks
        answer = client.post("/mutate", content=content, headers=JSON)
    assert answer.status_code == 413
    assert "larger than 7340032 bytes" in answer.json()["message"]

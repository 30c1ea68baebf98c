"""Reviews that API servers and other projects have sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.admission.conftest import POLICY, RULES
from tests.reviews import Results, answer
from webhook.admission import InvalidReviewError

CASES = Path(__file__).parents[1] / "cases/admissionreview"
INDEX = json.loads((CASES / "index.json").read_text())


@pytest.mark.parametrize("case", INDEX, ids=[case["file"] for case in INDEX])
def test_real_review_gets_an_answer_that_changes_images_only(ask, case):
    content = (CASES / case["file"]).read_bytes()
    given = json.loads(content)
    if not given.get("request", {}).get("uid"):
        with pytest.raises(InvalidReviewError):
            answer(content, POLICY, Results())
        return
    answered = ask(content)
    request = given["request"]
    assert answered.response["allowed"] is True
    assert answered.response["uid"] == request["uid"]
    assert answered.answer["apiVersion"] == given["apiVersion"]
    if case["kind"] != "Pod" or case["operation"] not in {"CREATE", "UPDATE"}:
        assert answered.patch == []
        return
    pod = request.get("object")
    expected = wanted(pod) if case["operation"] == "CREATE" and not case["subResource"] else {}
    assert answered.replaced == expected
    if pod:
        assert without_images(answered.applied_to(pod)) == without_images(pod)


def wanted(pod):
    """The images that a Pod should get, computed without the package."""
    found = {}
    for field in ("containers", "initContainers"):
        for number, container in enumerate(pod["spec"].get(field) or ()):
            new = RULES.decide(container["image"]).image
            if new != container["image"]:
                found[f"/spec/{field}/{number}/image"] = new
    return found


def without_images(value):
    """A Pod without its images and our annotation."""
    if isinstance(value, list):
        return [without_images(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: without_images(each)
        for key, each in value.items()
        if key not in {"image", "mirrorhook.io/original-images"}
    }
    return {key: each for key, each in kept.items() if key != "annotations" or each}

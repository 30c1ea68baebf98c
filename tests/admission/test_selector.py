from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from tests.admission.conftest import review
from tests.reviews import Results, answer, patch_of
from webhook.admission import Policy, ReviewOutcome
from webhook.admission import review as answer_review
from webhook.core import Mirror, MirrorMap, Outcome, Rule

RULES = MirrorMap(
    [
        Rule(
            "docker.io",
            [
                Mirror("one.example", pull_secrets=("one",)),
                Mirror("two.example", pull_secrets=("two",)),
            ],
        )
    ]
)
IMAGES = ("nginx", "quay.io/a/b")
POLICY = Policy("default", RULES.decide)


class NumberedSelector:
    """Selects the candidate of a number, or raises."""

    def __init__(self, number):
        self.number = number
        self.seconds = []

    async def choose(self, decisions, seconds):
        self.seconds.append(seconds)
        if isinstance(self.number, Exception):
            raise self.number
        await asyncio.sleep(0)
        return [self.select(decision) for decision in decisions]

    def select(self, decision):
        if not decision.candidates:
            return decision
        if self.number is None:
            return decision._replace(
                outcome=Outcome.UNAVAILABLE, reason="no mirror", candidate=None
            )
        outcome = Outcome.UNCONFIRMED if self.number else decision.outcome
        candidate = decision.candidates[self.number]
        return decision._replace(outcome=outcome, candidate=candidate, reason="doubt")


def ask(number, policy=POLICY, **request):
    recorder, selector = Results(), NumberedSelector(number)
    body = json.dumps(review(None, *IMAGES, **request)).encode()
    policy = replace(policy, selector=selector)
    response = json.loads(asyncio.run(answer_review(body, policy, recorder, 1.5)))["response"]
    assert response["allowed"] is True
    return response, recorder, selector


def replaced(response):
    return [each["value"] for each in patch_of(response) if each["op"] == "replace"]


@pytest.mark.parametrize("number", [0, 1])
def test_selected_candidate_is_used_with_only_its_own_secrets(number):
    response, _, selector = ask(number)
    mirror = ("one", "two")[number]

    assert replaced(response) == [f"{mirror}.example/library/nginx"]
    assert {"op": "add", "path": "/spec/imagePullSecrets", "value": [{"name": mirror}]} in (
        patch_of(response)
    )
    assert selector.seconds == [1.5]


class InstantSelector(NumberedSelector):
    """Selects without waiting."""

    async def choose(self, decisions, seconds):
        return [self.select(decision) for decision in decisions]


@pytest.mark.parametrize("number", [0, 1, None])
def test_selector_that_does_not_wait_gets_the_same_answer(number):
    expected, waiting, _ = ask(number)
    recorder, body = Results(), json.dumps(review(None, *IMAGES)).encode()
    policy = replace(POLICY, selector=InstantSelector(number))

    assert json.loads(answer(body, policy, recorder))["response"] == expected
    assert recorder.results[0][2] == waiting.results[0][2]


def test_known_pod_gets_the_current_choice_of_the_selector():
    selector = InstantSelector(0)
    policy = replace(POLICY, selector=selector)
    body = json.dumps(review(None, *IMAGES)).encode()
    for number in (0, 0, 1, None, 0):
        selector.number = number
        response = json.loads(answer(body, policy, Results()))["response"]
        assert response == ask(number)[0]


def test_no_available_mirror_leaves_the_pod_unchanged_with_a_warning():
    response, recorder, _ = ask(None)

    assert patch_of(response) == []
    assert response["warnings"] == [
        "mirrorhook: image of c0 unchanged, unavailable: 'nginx': no mirror"
    ]
    ((_, _, result),) = recorder.results
    assert result.outcome is ReviewOutcome.UNCHANGED


def test_unconfirmed_mirror_is_used_with_a_warning():
    response, _, _ = ask(1)

    assert response["warnings"] == [
        "mirrorhook: image of c0 rewritten, unconfirmed: 'nginx': doubt"
    ]
    (first, _) = json.loads(response["auditAnnotations"]["decisions"])
    assert (first["outcome"], first["result"]) == (
        "unconfirmed",
        "two.example/library/nginx",
    )


def test_selector_error_admits_the_pod_unchanged():
    response, recorder, _ = ask(ValueError("broken"))

    assert patch_of(response) == []
    assert "internal error" in response["warnings"][0]
    assert len(recorder.errors) == 1


def test_skipped_request_does_not_call_the_selector():
    response, _, selector = ask(0, operation="DELETE")

    assert patch_of(response) == []
    assert selector.seconds == []


def test_update_adds_no_pull_secret_which_the_api_server_would_refuse():
    old = {"spec": {"containers": [{"name": "c0", "image": "old"}]}}
    response, _, _ = ask(0, operation="UPDATE", oldObject=old)

    assert replaced(response) == ["one.example/library/nginx"]
    assert not any("imagePullSecrets" in each["path"] for each in patch_of(response))


def test_observe_mode_calls_the_selector_and_patches_nothing():
    response, recorder, selector = ask(0, replace(POLICY, observe=True))

    assert patch_of(response) == []
    assert recorder.results[0][2].outcome is ReviewOutcome.OBSERVED
    assert selector.seconds

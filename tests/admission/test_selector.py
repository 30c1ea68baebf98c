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
def test_the_chosen_candidate_is_taken_with_its_secrets_and_no_others(number):
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
def test_a_selector_that_need_not_wait_gets_the_same_answer_at_once(number):
    expected, waiting, _ = ask(number)
    recorder, body = Results(), json.dumps(review(None, *IMAGES)).encode()
    policy = replace(POLICY, selector=InstantSelector(number))

    assert json.loads(answer(body, policy, recorder))["response"] == expected
    assert recorder.results[0][2] == waiting.results[0][2]


def test_a_known_pod_gets_what_the_selector_chooses_now():
    selector = InstantSelector(0)
    policy = replace(POLICY, selector=selector)
    body = json.dumps(review(None, *IMAGES)).encode()
    for number in (0, 0, 1, None, 0):
        selector.number = number
        response = json.loads(answer(body, policy, Results()))["response"]
        assert response == ask(number)[0]


def test_no_mirror_leaves_the_pod_alone_and_says_so():
    response, recorder, _ = ask(None)

    assert patch_of(response) == []
    assert response["warnings"] == [
        "mirrorhook: image of c0 unchanged, unavailable: 'nginx': no mirror"
    ]
    ((_, _, result),) = recorder.results
    assert result.outcome is ReviewOutcome.UNCHANGED


def test_a_mirror_taken_on_doubt_is_warned_of():
    response, _, _ = ask(1)

    assert response["warnings"] == [
        "mirrorhook: image of c0 rewritten, unconfirmed: 'nginx': doubt"
    ]
    (first, _) = json.loads(response["auditAnnotations"]["decisions"])
    assert (first["outcome"], first["result"]) == (
        "unconfirmed",
        "two.example/library/nginx",
    )


def test_an_error_while_choosing_leaves_the_pod_as_it_is():
    response, recorder, _ = ask(ValueError("broken"))

    assert patch_of(response) == []
    assert "internal error" in response["warnings"][0]
    assert len(recorder.errors) == 1


def test_what_is_skipped_asks_nobody():
    response, _, selector = ask(0, operation="DELETE")

    assert patch_of(response) == []
    assert selector.seconds == []


def test_on_an_update_no_secret_is_added_as_the_api_server_would_refuse_it():
    old = {"spec": {"containers": [{"name": "c0", "image": "old"}]}}
    response, _, _ = ask(0, operation="UPDATE", oldObject=old)

    assert replaced(response) == ["one.example/library/nginx"]
    assert not any("imagePullSecrets" in each["path"] for each in patch_of(response))


def test_in_observe_mode_nothing_is_patched_and_all_is_ask():
    response, recorder, selector = ask(0, replace(POLICY, observe=True))

    assert patch_of(response) == []
    assert recorder.results[0][2].outcome is ReviewOutcome.OBSERVED
    assert selector.seconds

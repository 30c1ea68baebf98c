from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from tests.admission.conftest import Recorder, patch_of, review
from webhook.admission import Policy, Result, answer, answer_asking
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


class Choice:
    """Takes the candidate of a number, or raises; and may know that without asking."""

    def __init__(self, number, *, knows=False):
        self.number = number
        self.knows = knows
        self.seconds = []

    def known(self, decisions):
        return [self.chosen(decision) for decision in decisions] if self.knows else None

    async def choose(self, decisions, seconds):
        self.seconds.append(seconds)
        if isinstance(self.number, Exception):
            raise self.number
        return [self.chosen(decision) for decision in decisions]

    def chosen(self, decision):
        if not decision.candidates:
            return decision
        if self.number is None:
            return decision._replace(
                outcome=Outcome.UNAVAILABLE, reason="no mirror", candidate=None
            )
        outcome = Outcome.UNCONFIRMED if self.number else decision.outcome
        candidate = decision.candidates[self.number]
        return decision._replace(outcome=outcome, candidate=candidate, reason="doubt")


def asked(number, policy=POLICY, **request):
    recorder, choice = Recorder(), Choice(number)
    given = review(None, *IMAGES, **request)
    body = json.dumps(given).encode()
    content = asyncio.run(answer_asking(body, replace(policy, choice=choice), recorder, 1.5))
    response = json.loads(content)["response"]
    assert response["allowed"] is True
    return response, recorder, choice


def replaced(response):
    return [each["value"] for each in patch_of(response) if each["op"] == "replace"]


@pytest.mark.parametrize("number", [0, 1])
def test_the_chosen_candidate_is_taken_with_its_secrets_and_no_others(number):
    response, _, choice = asked(number)
    mirror = ("one", "two")[number]

    assert replaced(response) == [f"{mirror}.example/library/nginx"]
    assert {"op": "add", "path": "/spec/imagePullSecrets", "value": [{"name": mirror}]} in (
        patch_of(response)
    )
    assert choice.seconds == [1.5]


@pytest.mark.parametrize("number", [0, 1, None])
def test_what_is_known_is_answered_at_once_and_as_by_asking(number):
    response, asking, _ = asked(number)
    recorder, body = Recorder(), json.dumps(review(None, *IMAGES)).encode()
    at_once = answer(body, replace(POLICY, choice=Choice(number, knows=True)), recorder)

    assert json.loads(at_once)["response"] == response
    assert [each[2].result for each in recorder.verdicts] == [
        each[2].result for each in asking.verdicts
    ]


def test_what_is_to_be_asked_is_neither_answered_at_once_nor_noted():
    recorder, body = Recorder(), json.dumps(review(None, *IMAGES)).encode()

    assert answer(body, replace(POLICY, choice=Choice(0)), recorder) is None
    assert not recorder.verdicts


def test_no_mirror_leaves_the_pod_alone_and_says_so():
    response, recorder, _ = asked(None)

    assert patch_of(response) == []
    assert response["warnings"] == [
        "mirrorhook: image of c0 left as it is, unavailable: 'nginx': no mirror"
    ]
    ((_, _, verdict),) = recorder.verdicts
    assert verdict.result is Result.UNCHANGED


def test_a_mirror_taken_on_doubt_is_warned_of():
    response, _, _ = asked(1)

    assert response["warnings"] == [
        "mirrorhook: image of c0 rewritten, unconfirmed: 'nginx': doubt"
    ]
    (first, _) = json.loads(response["auditAnnotations"]["decisions"])
    assert (first["outcome"], first["result"]) == (
        "unconfirmed",
        "two.example/library/nginx",
    )


def test_an_error_while_choosing_leaves_the_pod_as_it_is():
    response, recorder, _ = asked(ValueError("broken"))

    assert patch_of(response) == []
    assert "internal error" in response["warnings"][0]
    assert len(recorder.errors) == 1


def test_what_is_skipped_asks_nobody():
    response, _, choice = asked(0, operation="DELETE")

    assert patch_of(response) == []
    assert choice.seconds == []


def test_on_an_update_no_secret_is_added_as_the_api_server_would_refuse_it():
    old = {"spec": {"containers": [{"name": "c0", "image": "old"}]}}
    response, _, _ = asked(0, operation="UPDATE", oldObject=old)

    assert replaced(response) == ["one.example/library/nginx"]
    assert not any("imagePullSecrets" in each["path"] for each in patch_of(response))


def test_in_observe_mode_nothing_is_patched_and_all_is_asked():
    response, recorder, choice = asked(0, replace(POLICY, observe=True))

    assert patch_of(response) == []
    assert recorder.verdicts[0][2].result is Result.OBSERVED
    assert choice.seconds

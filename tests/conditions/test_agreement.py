"""If the API server does not call the webhook, the Pod would not change, whatever the rules."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.conditions.release import release_policies
from tests.conditions.strategies import images, policies, requests
from webhook.core import Outcome

POLICIES = 40
SHARE = 2


@pytest.fixture(scope="session")
def release():
    """Many policies in one release, as each rendering takes time."""
    drawn = {}

    @given(policies())
    @settings(max_examples=POLICIES, phases=[Phase.generate], database=None)
    def draw(policy):
        drawn[f"p{len(drawn)}"] = policy

    draw()
    return [(drawn[name], policy) for name, policy in release_policies(drawn).items()]


@given(image=images)
def test_image_does_not_change_without_a_call(release, image):
    for values, policy in release:
        changed = policy.policy.decide(image).candidate is not None
        assert policy.calls_for(image) or not changed, (values, policy.expressions)


@given(share=st.integers(0, SHARE - 1), request=requests())
def test_pod_does_not_change_without_a_call(release, share, request):
    for values, policy in release[share::SHARE]:
        called, patched = policy.calls(request), policy.patches(request)
        assert called or not patched, (values, policy.expressions)


@given(image=images)
def test_image_without_a_rule_causes_no_call(release, image):
    for values, policy in release:
        if not values["rules"] or any("regex" in rule for rule in values["rules"]):
            continue
        if policy.policy.decide(image).outcome is Outcome.UNMATCHED:
            assert not policy.calls_for(image), (values, policy.expressions)

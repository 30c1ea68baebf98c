"""The record of original images, and pull secrets of mirrors, in an update and otherwise."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.admission.conftest import POLICY, Answered
from tests.admission.conftest import review as make_review
from tests.core.strategies import images, maps, texts
from webhook.admission import Policy
from webhook.core import Mirror, MirrorMap, Rule
from webhook.objects import has_same_ending

HUB = "m.example/hub/library"
RECORD = "mirrorhook.io/original-images"


def pod(*named, **fields):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(named)]
    return {"metadata": {"name": "web"}, "spec": {"containers": containers, **fields}}


def recorded(before, **originals):
    """The Pod with a record of original images."""
    return before | {"metadata": {"name": "web", "annotations": {RECORD: json.dumps(originals)}}}


def record_of(shown):
    return json.loads(shown["metadata"]["annotations"].get(RECORD, "null"))


# The images of a Pod on which the record says that c0 was nginx:1.25, and the record after that.
STALE = {
    "another image": (["ghcr.io/acme/web:2"], None),
    "another name at the mirror": ([f"{HUB}/redis:1.25"], None),
    "another tag at the mirror": ([f"{HUB}/nginx:1.26"], None),
    "another tag": (["nginx:1.26"], {"c0": "nginx:1.26"}),
    "an image that a rule keeps": (["quay.io/our-team/x"], None),
    "an invalid image": (["Nginx"], None),
    "the original again": (["nginx:1.25"], {"c0": "nginx:1.25"}),
    "the same image": ([f"{HUB}/nginx:1.25"], {"c0": "nginx:1.25"}),
    "a second one": ([f"{HUB}/nginx:1.25", "redis"], {"c0": "nginx:1.25", "c1": "redis"}),
}


@pytest.mark.parametrize("case", STALE)
@pytest.mark.parametrize("updates", [False, True])
def test_record_follows_the_image(ask, review, case, updates):
    named, expected = STALE[case]
    shown = recorded(pod(*named), c0="nginx:1.25")
    update = {"operation": "UPDATE", "oldObject": pod(f"{HUB}/nginx:1.25")} if updates else {}
    answered = ask(review(shown, **update))
    after = answered.applied_to(shown)
    assert record_of(after) == expected
    assert ask(review(after)).patch == []


def test_record_of_a_container_that_is_gone_is_removed(ask, review):
    shown = recorded(pod("r.example/x"), gone="nginx", volume="redis")
    answered = ask(review(shown))
    assert answered.applied_to(shown)["metadata"]["annotations"] == {}
    assert answered.recorder.results[0][2].outcome == "unchanged"


@pytest.mark.parametrize(
    ("image", "kept"),
    [
        ("other.example/gcr/x:1", True),
        ("other.example/gcr/x:2", False),
        ("other.example/gcr/y:1", False),
        ("gcr.example/x:1", False),
    ],
)
def test_record_of_another_policy_stays_as_long_as_its_image(ask, review, image, kept):
    original = "gcr.example/x:1"  # of which our rules make nothing
    shown = recorded(pod(image), c0=original)
    assert record_of(ask(review(shown)).applied_to(shown)) == ({"c0": original} if kept else None)


@pytest.mark.parametrize("options", [{"observe": True}, {"record": False}])
def test_record_is_left_alone_if_the_policy_writes_none(ask, review, options):
    shown = recorded(pod("r.example/x"), c0="nginx")
    assert ask(review(shown), replace(POLICY, **options)).patch == []


def test_record_changed_while_the_webhook_was_away_is_corrected_by_the_next_update(ask, review):
    before = recorded(pod("nginx:1.26", "r.example/x"), c0="nginx:1.25")
    shown = recorded(pod("nginx:1.26", "r.example/y"), c0="nginx:1.25")
    after = ask(review(shown, operation="UPDATE", oldObject=before)).applied_to(shown)
    assert after["spec"] == shown["spec"]
    assert record_of(after) is None


SECRETS = MirrorMap([Rule("docker.io", [Mirror("m.example/hub", pull_secrets=("harbor", "two"))])])
LACKING = (
    "the Pod lacks the pull secret harbor, two, which cannot be added to an existing Pod: add it "
    "to its template or service account, and recreate the Pod"
)


@pytest.mark.parametrize("place", ["containers", "initContainers", "ephemeralContainers"])
def test_existing_pod_without_the_pull_secret_of_a_mirror_gets_a_warning(ask, review, place):
    shown, old = pod("r.example/x"), pod("r.example/x")
    shown["spec"] |= {place: [{"name": "c0", "image": "nginx:2"}]}
    request = {"operation": "UPDATE", "oldObject": old}
    if place == "ephemeralContainers":
        request["subResource"] = "ephemeralcontainers"
    answered = ask(review(shown, **request), Policy("default", SECRETS.decide))
    assert f"{HUB}/nginx:2" in answered.replaced.values()
    (warning,) = answered.warnings
    assert warning.startswith("mirrorhook: image of c0 rewritten, unconfirmed: 'nginx:2': ")
    assert LACKING[:60] in warning
    assert LACKING in answered.audit["decisions"]
    shown["spec"]["imagePullSecrets"] = [{"name": "two"}, {"name": "harbor"}]
    assert ask(review(shown, **request), Policy("default", SECRETS.decide)).warnings == []


def test_new_pod_gets_the_pull_secret_without_a_warning(ask, review):
    answered = ask(review(pod("nginx")), Policy("default", SECRETS.decide))
    assert answered.warnings == []
    assert answered.patch[1]["path"] == "/spec/imagePullSecrets"


NAMES = ("c0", "c1", "gone")


@given(
    maps(),
    st.lists(images, min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(NAMES), texts),
    st.data(),
)
def test_every_entry_of_a_record_is_what_the_rules_make_the_image_of(rules, named, record, data):
    """Any rules, images and records; some images are those that the rules make of the record."""
    made = [rules.decide(record.get(f"c{n}", "")).image for n in range(len(named))]
    chosen = [data.draw(st.sampled_from(pair)) for pair in zip(named, made, strict=True)]
    shown = recorded(pod(*filter(None, chosen)), **record)
    after = Answered(make_review(shown), Policy("default", rules.decide)).applied_to(shown)
    present = {each["name"]: each["image"] for each in after["spec"]["containers"]}
    for name, original in (record_of(after) or {}).items():
        made = [each.image for each in rules.decide(original).candidates]
        assert present[name] in made or (not made and has_same_ending(original, present[name]))
    again = Answered(make_review(after), Policy("default", rules.decide))
    assert again.patch == []

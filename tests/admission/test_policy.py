"""The outcome table, for both versions of the protocol."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.admission.conftest import POLICY, RULES, Answered, review
from webhook.core import Outcome

HUB = "m.example/hub/library/"
FIRST = "/spec/containers/0/image"
VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")


def pod(*images, **fields):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {"metadata": {"name": "web"}, "spec": {"containers": containers, **fields}}


@pytest.mark.parametrize("version", VERSIONS)
def test_answer_echoes_uid_and_version(ask, review, version):
    answered = ask(review(None, "nginx", version=version))
    assert answered.answer["apiVersion"] == version
    assert answered.answer["kind"] == "AdmissionReview"
    assert answered.response["uid"] == "u-1"
    assert answered.response["allowed"] is True
    assert answered.replaced == {FIRST: HUB + "nginx"}


def test_create_patches_every_image_field(ask, review):
    given = pod(
        "a",
        initContainers=[{"name": "i", "image": "b"}],
        ephemeralContainers=[{"name": "e", "image": "c"}],
        volumes=[{"name": "v", "image": {"reference": "d"}}],
    )
    answered = ask(review(given))
    assert answered.replaced == {
        FIRST: HUB + "a",
        "/spec/initContainers/0/image": HUB + "b",
        "/spec/ephemeralContainers/0/image": HUB + "c",
        "/spec/volumes/0/image/reference": HUB + "d",
    }
    record = json.loads(
        answered.applied_to(given)["metadata"]["annotations"]["mirrorhook.io/original-images"]
    )
    assert record == {"c0": "a", "i": "b", "e": "c", "volume:v": "d"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": {"group": "apps", "version": "v1", "kind": "Deployment"}}, "not a Pod"),
        ({"kind": {"group": "x", "version": "v1", "kind": "Pod"}}, "not a Pod"),
        ({"kind": None}, "not a Pod"),
        ({"operation": "DELETE"}, "the operation is DELETE"),
        ({"operation": "CONNECT"}, "the operation is CONNECT"),
        ({"operation": None}, "the operation is missing"),
        ({"subResource": "status"}, "the subresource is status"),
        ({"subResource": "resize", "operation": "UPDATE"}, "the subresource is resize"),
        ({"object": None}, "it has no object"),
        ({"operation": "UPDATE"}, "an UPDATE without oldObject"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_other_requests_are_skipped_with_a_reason(ask, review, changes, reason, version):
    answered = ask(review(None, "nginx", version=version, **changes))
    assert answered.response["allowed"] is True
    assert answered.patch == []
    assert reason in answered.audit["skipped"]
    (_, _, result) = answered.recorder.results[0]
    assert result.outcome == "skipped"


@pytest.mark.parametrize(
    "metadata",
    [
        {"annotations": {"kubernetes.io/config.mirror": "x"}},
        {"annotations": {"mirrorhook.io/rewrite": "disabled"}},
        {"labels": {"mirrorhook.io/rewrite": "disabled"}},
    ],
)
def test_opted_out_pods_are_skipped(ask, review, metadata):
    answered = ask(review(pod("nginx") | {"metadata": metadata}))
    assert answered.patch == []
    assert answered.audit["skipped"]


def test_update_changes_only_images_that_differ(ask, review):
    old = pod("nginx", "redis", "quay.io/x", volumes=[])
    new = pod("nginx", "redis:7", "quay.io/x")
    new["spec"]["initContainers"] = [{"name": "c0", "image": "nginx"}]
    new["spec"]["volumes"] = [{"name": "v", "image": {"reference": "a"}}]
    answered = ask(review(new, operation="UPDATE", oldObject=old))
    assert answered.replaced == {
        "/spec/containers/1/image": HUB + "redis:7",
        "/spec/initContainers/0/image": HUB + "nginx",
    }


def test_update_of_labels_changes_nothing(ask, review):
    answered = ask(review(pod("nginx"), operation="UPDATE", oldObject=pod("nginx")))
    assert answered.patch == []
    assert answered.audit == {}


def test_update_matches_containers_by_name(ask, review):
    old, new = pod("nginx", "redis"), pod("nginx", "redis")
    new["spec"]["containers"].reverse()
    assert ask(review(new, operation="UPDATE", oldObject=old)).patch == []


def test_update_rewrites_only_new_ephemeral_containers(ask, review):
    old = pod("nginx", ephemeralContainers=[{"name": "one", "image": "a"}])
    new = pod(
        "redis",
        ephemeralContainers=[{"name": "one", "image": "b"}, {"name": "two", "image": "c"}],
    )
    answered = ask(
        review(new, operation="UPDATE", subResource="ephemeralcontainers", oldObject=old)
    )
    assert answered.patch == [
        {"op": "replace", "path": "/spec/ephemeralContainers/1/image", "value": HUB + "c"}
    ]


@pytest.mark.parametrize("old", [{}, {"spec": None}, {"spec": {}}])
def test_update_accepts_an_old_object_without_images(ask, review, old):
    answered = ask(review(pod("nginx"), operation="UPDATE", oldObject=old))
    assert answered.replaced == {FIRST: HUB + "nginx"}


@pytest.mark.parametrize("given", [{}, {"spec": None}, {"spec": {}}, {"metadata": None}])
def test_pod_without_images_is_allowed(ask, review, given):
    answered = ask(review(given))
    assert (answered.patch, answered.audit, answered.warnings) == ([], {}, [])


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("Not Good", "c0 unchanged, invalid: 'Not Good': it contains white space"),
        ("gcr.io/abcdefghijklmno", "unavailable: 'gcr.io/abcdefghijklmno': rule gcr.io"),
    ],
)
def test_unusable_image_stays_unchanged_with_a_warning(ask, review, image, expected):
    answered = ask(review(None, image, "nginx"))
    assert answered.replaced == {"/spec/containers/1/image": HUB + "nginx"}
    (warning,) = answered.warnings
    assert warning.startswith("mirrorhook: image of ")
    assert expected in warning


def test_warnings_stay_within_the_limits_of_the_api_server(ask, review):
    answered = ask(review(None, *["X" * 300] * 20))
    assert len(answered.warnings) == 16
    assert all(len(warning) <= 256 for warning in answered.warnings)
    assert answered.warnings[-1] == "mirrorhook: 5 more images like these"
    assert sum(map(len, answered.warnings)) <= 4096


def test_warning_names_an_unnamed_container_by_its_pointer(ask, review):
    answered = ask(review({"spec": {"containers": [{"image": "A"}]}}))
    assert "image of /spec/containers/0/image unchanged" in answered.warnings[0]


def test_audit_event_has_every_decision_with_its_reason(ask, review):
    answered = ask(review(None, "nginx", "quay.io/our-team/a", "x.y/z"))
    decisions = json.loads(answered.audit["decisions"])
    assert [each["outcome"] for each in decisions] == ["rewritten", "kept", "unmatched"]
    assert decisions[0] == {
        "name": "c0",
        "image": "nginx",
        "outcome": "rewritten",
        "reason": "rule docker.io → m.example/hub",
        "rule": "docker.io",
        "result": HUB + "nginx",
    }


def test_audit_event_has_a_hundred_decisions_at_most(ask, review):
    answered = ask(review(None, *[f"a{n}" for n in range(300)]))
    assert len(answered.replaced) == 300
    assert len(json.loads(answered.audit["decisions"])) == 100


def test_observe_mode_decides_and_patches_nothing(ask, review):
    answered = ask(review(None, "nginx"), replace(POLICY, observe=True))
    assert answered.patch == []
    assert answered.audit["mode"] == "observe"
    (decision,) = json.loads(answered.audit["decisions"])
    assert (decision["outcome"], decision["result"]) == ("observed", HUB + "nginx")
    assert decision["reason"].startswith("mode observe changes nothing; it would be m.example")
    result = answered.recorder.results[0][2]
    assert result.outcome == "observed"
    assert (result.totals.rewritten, result.totals.shares) == (0, ())
    assert result.totals.outcomes == ((("docker.io", "observed"), 1),)


def test_unconfirmed_image_gives_no_warning_in_observe_mode(ask, review):
    def decide(image):
        return RULES.decide(image)._replace(outcome=Outcome.UNCONFIRMED, reason="unconfirmed: x")

    answered = ask(review(None, "nginx"), replace(POLICY, observe=True, decide=decide))
    assert answered.patch == []
    assert answered.warnings == []


def test_patch_without_a_record_changes_only_images(ask, review):
    answered = ask(review(None, "nginx"), replace(POLICY, record=False))
    assert [each["op"] for each in answered.patch] == ["replace"]


@pytest.mark.parametrize("dry", [True, False, None])
def test_dry_run_gets_the_same_answer(ask, review, dry):
    assert ask(review(None, "nginx", dryRun=dry)).answer == ask(review(None, "nginx")).answer


def test_second_review_changes_only_new_images(ask, review):
    first = ask(review(pod("nginx"))).applied_to(pod("nginx"))
    assert ask(review(first)).patch == []
    first["spec"]["containers"].append({"name": "side", "image": "redis"})
    second = ask(review(first)).applied_to(first)
    annotation = second["metadata"]["annotations"]["mirrorhook.io/original-images"]
    assert json.loads(annotation) == {"c0": "nginx", "side": "redis"}
    assert ask(review(second)).patch == []


def test_sync_of_a_bare_pod_in_git_changes_nothing():
    # As docs/howto/helm.md says: an apply restores the image, and the review undoes that.
    given = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "nginx"}]}}
    live = Answered(review(given), POLICY).applied_to(given)
    assert live != given
    synced = {**live, "spec": given["spec"]}
    again = Answered(review(synced, operation="UPDATE", oldObject=live), POLICY)
    assert again.applied_to(synced) == live

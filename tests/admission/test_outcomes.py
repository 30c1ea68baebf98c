"""The outcome table, for both versions of the protocol."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.admission.conftest import POLICY

HUB = "m.example/hub/library/"
FIRST = "/spec/containers/0/image"
VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")


def pod(*images, **fields):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {"metadata": {"name": "web"}, "spec": {"containers": containers, **fields}}


@pytest.mark.parametrize("version", VERSIONS)
def test_uid_and_version_are_echoed(ask, review, version):
    asked = ask(review(None, "nginx", version=version))
    assert asked.answer["apiVersion"] == version
    assert asked.answer["kind"] == "AdmissionReview"
    assert asked.response["uid"] == "u-1"
    assert asked.response["allowed"] is True
    assert asked.replaced == {FIRST: HUB + "nginx"}


def test_every_place_of_an_image_is_patched_on_create(ask, review):
    given = pod(
        "a",
        initContainers=[{"name": "i", "image": "b"}],
        ephemeralContainers=[{"name": "e", "image": "c"}],
        volumes=[{"name": "v", "image": {"reference": "d"}}],
    )
    asked = ask(review(given))
    assert asked.replaced == {
        FIRST: HUB + "a",
        "/spec/initContainers/0/image": HUB + "b",
        "/spec/ephemeralContainers/0/image": HUB + "c",
        "/spec/volumes/0/image/reference": HUB + "d",
    }
    record = json.loads(
        asked.applied_to(given)["metadata"]["annotations"]["mirrorhook.io/original-images"]
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
def test_what_does_not_concern_us_is_allowed_without_a_patch(ask, review, changes, reason, version):
    asked = ask(review(None, "nginx", version=version, **changes))
    assert asked.response["allowed"] is True
    assert asked.patch == []
    assert reason in asked.audit["skipped"]
    (_, _, result) = asked.recorder.results[0]
    assert result.outcome == "skipped"


@pytest.mark.parametrize(
    "metadata",
    [
        {"annotations": {"kubernetes.io/config.mirror": "x"}},
        {"annotations": {"mirrorhook.io/rewrite": "disabled"}},
        {"labels": {"mirrorhook.io/rewrite": "disabled"}},
    ],
)
def test_pods_that_opt_out_are_left_alone(ask, review, metadata):
    asked = ask(review(pod("nginx") | {"metadata": metadata}))
    assert asked.patch == []
    assert asked.audit["skipped"]


def test_an_update_changes_only_images_that_differ(ask, review):
    old = pod("nginx", "redis", "quay.io/x", volumes=[])
    new = pod("nginx", "redis:7", "quay.io/x")
    new["spec"]["initContainers"] = [{"name": "c0", "image": "nginx"}]
    new["spec"]["volumes"] = [{"name": "v", "image": {"reference": "a"}}]
    asked = ask(review(new, operation="UPDATE", oldObject=old))
    assert asked.replaced == {
        "/spec/containers/1/image": HUB + "redis:7",
        "/spec/initContainers/0/image": HUB + "nginx",
    }


def test_an_update_of_labels_changes_nothing(ask, review):
    asked = ask(review(pod("nginx"), operation="UPDATE", oldObject=pod("nginx")))
    assert asked.patch == []
    assert asked.audit == {}


def test_containers_are_told_apart_by_name_and_not_by_place(ask, review):
    old, new = pod("nginx", "redis"), pod("nginx", "redis")
    new["spec"]["containers"].reverse()
    assert ask(review(new, operation="UPDATE", oldObject=old)).patch == []


def test_only_new_ephemeral_containers_are_rewritten(ask, review):
    old = pod("nginx", ephemeralContainers=[{"name": "one", "image": "a"}])
    new = pod(
        "redis",
        ephemeralContainers=[{"name": "one", "image": "b"}, {"name": "two", "image": "c"}],
    )
    asked = ask(review(new, operation="UPDATE", subResource="ephemeralcontainers", oldObject=old))
    assert asked.patch == [
        {"op": "replace", "path": "/spec/ephemeralContainers/1/image", "value": HUB + "c"}
    ]


@pytest.mark.parametrize("old", [{}, {"spec": None}, {"spec": {}}])
def test_an_old_object_without_images_has_none_to_keep(ask, review, old):
    asked = ask(review(pod("nginx"), operation="UPDATE", oldObject=old))
    assert asked.replaced == {FIRST: HUB + "nginx"}


@pytest.mark.parametrize("given", [{}, {"spec": None}, {"spec": {}}, {"metadata": None}])
def test_a_pod_without_images_is_allowed(ask, review, given):
    asked = ask(review(given))
    assert (asked.patch, asked.audit, asked.warnings) == ([], {}, [])


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("Not Good", "c0 unchanged, invalid: 'Not Good': it contains white space"),
        ("gcr.io/abcdefghijklmno", "unavailable: 'gcr.io/abcdefghijklmno': rule gcr.io"),
    ],
)
def test_doubt_leaves_the_image_and_warns(ask, review, image, told):
    asked = ask(review(None, image, "nginx"))
    assert asked.replaced == {"/spec/containers/1/image": HUB + "nginx"}
    (warning,) = asked.warnings
    assert warning.startswith("mirrorhook: image of ")
    assert told in warning


def test_warnings_stay_within_the_bounds_of_the_api_server(ask, review):
    asked = ask(review(None, *["X" * 300] * 20))
    assert len(asked.warnings) == 16
    assert all(len(warning) <= 256 for warning in asked.warnings)
    assert asked.warnings[-1] == "mirrorhook: 5 more images like these"
    assert sum(map(len, asked.warnings)) <= 4096


def test_a_container_without_a_name_is_named_by_its_place(ask, review):
    asked = ask(review({"spec": {"containers": [{"image": "A"}]}}))
    assert "image of /spec/containers/0/image unchanged" in asked.warnings[0]


def test_the_audit_event_has_every_decision_in_the_words_of_explain(ask, review):
    asked = ask(review(None, "nginx", "quay.io/our-team/a", "x.y/z"))
    decisions = json.loads(asked.audit["decisions"])
    assert [each["outcome"] for each in decisions] == ["rewritten", "kept", "unmatched"]
    assert decisions[0] == {
        "name": "c0",
        "image": "nginx",
        "outcome": "rewritten",
        "reason": "rule docker.io → m.example/hub",
        "result": HUB + "nginx",
    }


def test_the_audit_event_is_bounded(ask, review):
    asked = ask(review(None, *[f"a{n}" for n in range(300)]))
    assert len(asked.replaced) == 300
    assert len(json.loads(asked.audit["decisions"])) == 100


def test_observing_decides_and_patches_nothing(ask, review):
    asked = ask(review(None, "nginx"), replace(POLICY, observe=True))
    assert asked.patch == []
    assert asked.audit["mode"] == "observe"
    assert json.loads(asked.audit["decisions"])[0]["result"] == HUB + "nginx"
    assert asked.recorder.results[0][2].outcome == "observed"


def test_without_a_record_only_images_change(ask, review):
    asked = ask(review(None, "nginx"), replace(POLICY, record=False))
    assert [each["op"] for each in asked.patch] == ["replace"]


@pytest.mark.parametrize("dry", [True, False, None])
def test_the_answer_to_a_dry_run_is_the_answer(ask, review, dry):
    assert ask(review(None, "nginx", dryRun=dry)).answer == ask(review(None, "nginx")).answer


def test_a_second_round_changes_nothing_but_what_came_in_between(ask, review):
    first = ask(review(pod("nginx"))).applied_to(pod("nginx"))
    assert ask(review(first)).patch == []
    first["spec"]["containers"].append({"name": "side", "image": "redis"})
    second = ask(review(first)).applied_to(first)
    annotation = second["metadata"]["annotations"]["mirrorhook.io/original-images"]
    assert json.loads(annotation) == {"c0": "nginx", "side": "redis"}
    assert ask(review(second)).patch == []

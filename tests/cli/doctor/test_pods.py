"""One Pod, explained."""

from __future__ import annotations

import json

import pytest

from tests.cli.doctor.reader import CREATED, MemoryReader, configuration, pod, recorded, rules
from webhook.cli.doctor.installation import read_installation
from webhook.cli.doctor.pods import explain_pod
from webhook.cli.doctor.webhooks import CONFIGURATIONS

OPERATOR = {"cnpg.io/podRole": "instance"}
DISABLED = {"mirrorhook.io/rewrite": "disabled"}
STATIC = {"kubernetes.io/config.mirror": "1"}
OLD = "2026-10-01T00:00:00Z"

# By message is the matter: the Pod; then the check, the status, words of message is found and
# words of the fix.
PODS = {
    "rewritten": (
        pod("m.example/hub/library/nginx", annotations=recorded(c0="nginx")),
        *("c0", "ok", "rewritten from nginx", ""),
    ),
    "older than the webhook": (
        pod("nginx", created=OLD),
        *("c0", "wrong", "the Pod is older than the webhook", "rollout restart"),
    ),
    "not reached": (
        pod("nginx"),
        *(
            "c0",
            "wrong",
            "the webhook was not reached",
            "mirrorhook doctor --namespace shop",
        ),
    ),
    "no rule": (
        pod("r.example/x"),
        *("c0", "note", "no rule matches r.example/x", "add a rule"),
    ),
    "kept": (pod("quay.io/our/a"), "c0", "note", "rule quay.io/our keeps it", ""),
    "at the mirror": (pod("m.example/hub/x"), "c0", "note", "is unchanged", ""),
    "no image": (pod("Nginx"), "c0", "wrong", "must be in lower case", "correct the name"),
    "static": (
        pod("nginx", annotations=STATIC),
        *("Pod", "note", "static Pod", "mirrorhook render containerd"),
    ),
    "opted out": (
        pod("nginx", labels=DISABLED),
        *("Pod", "note", "its label mirrorhook.io/rewrite is disabled", "remove"),
    ),
    "of an operator": (
        pod("nginx", labels=OPERATOR),
        *("Pod", "note", "cnpg.io/podRole must not be instance", "docs/install.md"),
    ),
    "not opted in": (
        pod("nginx", namespace="other"),
        *("namespace", "wrong", "mirrorhook.io/rewrite must be enabled", "kubectl label"),
    ),
    "a broken annotation": (
        pod("nginx", annotations={"mirrorhook.io/original-images": "{"}),
        *("c0", "wrong", "would be m.example/hub/library/nginx", "delete pod web"),
    ),
}


@pytest.mark.parametrize("case", PODS)
def test_pod_is_explained_with_its_fix(case):
    given, check, status, message, fix = PODS[case]
    reader = MemoryReader()
    namespace = given["metadata"]["namespace"]
    reader.objects[f"/api/v1/namespaces/{namespace}/pods/web"] = given
    (found,) = explain_pod(reader, read_installation(reader), namespace, "web")
    assert (found.check, found.status) == (check, status)
    assert message in found.text
    assert fix in found.fix


def test_missing_pod_is_found():
    reader = MemoryReader()
    (found,) = explain_pod(reader, read_installation(reader), "shop", "gone")
    assert found.text == "there is no Pod shop/gone"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (CONFIGURATIONS, [], "has no webhook and no policy"),
        ("/api/v1/namespaces/mirrorhook/configmaps", [], "there is no ConfigMap with the rules"),
        (
            "/api/v1/namespaces/mirrorhook/configmaps",
            [rules("mode: observe\nrules: [{match: docker.io, mirrors: [m.example]}]")],
            "policy default has mode observe",
        ),
        (
            "/api/v1/namespaces/mirrorhook/configmaps",
            [rules("rules: x")],
            "mirrorhook/mirrorhook-rules are wrong: rules.yaml:1:8: rules: ",
        ),
    ],
)
def test_pod_explanation_reports_unknown_rules(path, value, message):
    reader = MemoryReader()
    reader.lists[path] = value
    reader.objects["/api/v1/namespaces/shop/pods/web"] = pod("nginx")
    (found,) = explain_pod(reader, read_installation(reader), "shop", "web")
    assert message in found.text


MAPS = "/api/v1/namespaces/mirrorhook/configmaps"
LOG = "/api/v1/namespaces/mirrorhook/pods/mirrorhook-1/log"
HUB = "m.example/hub/library"


def explained(reader, given, probe=None):
    reader.objects["/api/v1/namespaces/shop/pods/web"] = given
    (found,) = explain_pod(reader, read_installation(reader), "shop", "web", probe)
    return found


@pytest.mark.parametrize(
    ("image", "status", "message"),
    [
        ("ghcr.io/acme/web:2", "note", "no rule matches ghcr.io/acme/web"),
        (f"{HUB}/redis:1", "note", "it is already at a mirror"),
        ("nginx:1.26", "wrong", "but its image was changed after nginx:1.25 had been rewritten"),
    ],
)
def test_record_of_another_image_does_not_count(image, status, message):
    found = explained(MemoryReader(), pod(image, annotations=recorded(c0="nginx:1.25")))
    assert found.status == status
    assert message in found.text
    assert "rewritten from" not in found.text


def managed(time, *path):
    """The metadata of an object of which a field was set at a time."""
    fields = {}
    for step in reversed(path):
        fields = {step: fields}
    return {"managedFields": [{"manager": "m", "time": time, "fieldsV1": fields}]}


LATER = "2026-11-20T00:00:01Z"
EARLIER = "2026-11-19T00:00:00Z"


@pytest.mark.parametrize(
    ("opted_in", "changed", "message"),
    [
        (LATER, EARLIER, f"its namespace had not opted in when it was created, before {LATER}"),
        (EARLIER, LATER, f"the rules were different when it was created, before {LATER}"),
        (
            EARLIER,
            EARLIER,
            "no log tells why it is not. It may be that the webhook was not reached",
        ),
    ],
)
def test_unchanged_pod_is_explained_by_what_was_changed_later(opted_in, changed, message):
    reader = MemoryReader()
    reader.objects["/api/v1/namespaces/shop"]["metadata"] |= managed(
        opted_in, "f:metadata", "f:labels", "f:mirrorhook.io/rewrite"
    )
    reader.lists[MAPS][0]["metadata"] |= managed(changed, "f:data", "f:rules.yaml")
    found = explained(reader, pod("nginx"))
    assert found.status == "wrong"
    assert message in found.text
    assert ("had not opted in" in found.text) == (opted_in == LATER)


def logged(outcome, why, time="2026-11-20T00:00:00.500Z", **more):
    """The log line of the review of a Pod with one image."""
    images = [{"name": "c0", "image": "nginx", "outcome": outcome, "reason": why}]
    line = {"event": "review", "policy": "default", "namespace": "shop", "pod": "web"}
    line |= {"time": time, "operation": "CREATE", "dryRun": False, "result": "unchanged"}
    return json.dumps({**line, "images": images, **more})


# A line of the log; then words of what is found, and of the fix.
REVIEWS = {
    "unavailable": (logged("unavailable", "m.example lacks it"), "m.example lacks it", "copy"),
    "looping": (logged("looping", "Tool x created it 10 times"), "10 times", "opt the Pod out"),
    "by older rules": (logged("unmatched", "no rule matches it"), "no rule matches it", "recreate"),
    "by its generateName": (logged("kept", "rule a keeps it", pod="web-"), "rule a keeps", ""),
    "undone": (
        logged("rewritten", "rule"),
        "something has changed it since",
        "managed-fields",
    ),
    "skipped": (
        logged("", "", images=[], result="skipped", reason="it has 301 images"),
        *("(skipped): it has 301 images", "recreate"),
    ),
    "failed": (
        logged("", "", event="review failed, the Pod was admitted unchanged", images=None),
        *("(error): an internal error; its log has the traceback", "recreate"),
    ),
}


@pytest.mark.parametrize("case", REVIEWS)
def test_unchanged_pod_is_explained_by_the_log_of_a_replica(case):
    line, message, fix = REVIEWS[case]
    reader = MemoryReader()
    others = [
        logged("kept", "another namespace", namespace="other"),
        logged("kept", "another Pod", pod="web-2"),
        logged("kept", "a dry run", dryRun=True),
        logged("kept", "an update", operation="UPDATE"),
        logged("kept", "another policy", policy="team"),
        logged("kept", "an hour later", time="2026-11-20T01:00:00.000Z"),
        logged("kept", "its namesake before", time="2026-11-19T23:59:55.000Z"),
    ]
    reader.texts[LOG] = "\n".join([*others, "no JSON", "[]", line, '{"cut":'])
    given = pod("nginx", created=CREATED)
    given["metadata"]["generateName"] = "web-"
    found = explained(reader, given)
    assert found.status == "wrong"
    assert message in found.text
    assert fix in found.fix


class Answer:
    def __init__(self, status):
        self.status, self.is_present, self.reason = status, status == "present", "answers so"


def probing(status):
    """A probe that gets the same answer for every candidate."""
    return lambda _, decision: {each.image: Answer(status) for each in decision.candidates}


CHECKING = "rules: [{match: docker.io, mirrors: [m.example/hub]}]\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("absent", f"no mirror is known to have it: {HUB}/nginx answers so"),
        ("present", "no mirror was known to have the image (availability.mode is check)"),
    ],
)
def test_unchanged_pod_is_explained_by_what_the_mirrors_have(answer, message):
    reader = MemoryReader()
    reader.lists[MAPS] = [rules(f"{CHECKING}availability: {{mode: check}}\n")]
    found = explained(reader, pod("nginx"), probing(answer))
    assert message in found.text


def test_unchanged_pod_may_have_been_stopped_by_the_loop_detector():
    reader = MemoryReader()
    reader.pages["/metrics"] = (200, 'mirrorhook_loops_total{policy="default"} 2.0\n')
    assert "stopped by the loop detector, as 2 were" in explained(reader, pod("nginx")).text


def test_unchanged_pod_may_have_been_excluded_by_a_match_condition():
    reader = MemoryReader()
    conditions = [{"name": "team.example/blue", "expression": "false"}]
    reader.lists[CONFIGURATIONS] = [configuration(matchConditions=conditions)]
    found = explained(reader, pod("nginx"))
    assert "a match condition excluded it (team.example/blue)" in found.text


def failing(image, reason, message, **more):
    """A rewritten Pod whose container does not start."""
    given = pod(image, annotations=recorded(c0="nginx"))
    waiting = {"waiting": {"reason": reason, "message": message}}
    given["status"] = {"containerStatuses": [{"name": "c0", "state": waiting, **more}]}
    return given


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        ("manifest unknown", "mirrorhook copy --config rules.yaml nginx"),
        ("m.example/hub/library/nginx: not found", "mirrorhook copy --config rules.yaml nginx"),
        ("401 Unauthorized", "credentials for the mirror"),
        ("pull access denied", "credentials for the mirror"),
        ("x509: unknown authority", "trust the mirror"),
        ("server gave HTTP response to HTTPS client", "trust the mirror"),
        ("dial tcp: no such host", "whether nodes reach the mirror"),
    ],
)
@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_rewritten_image_that_the_node_cannot_pull_is_wrong(reason, message, fix):
    found = explained(MemoryReader(), failing(f"{HUB}/nginx", reason, message))
    assert found.status == "wrong"
    assert f"rewritten from nginx, but the node cannot pull it: {reason}: {message}" in found.text
    assert fix in found.fix


def test_image_at_the_mirror_that_the_node_cannot_pull_is_wrong():
    given = failing(f"{HUB}/nginx", "ErrImagePull", "not found")
    given["metadata"]["annotations"] = {}
    assert explained(MemoryReader(), given).status == "wrong"


@pytest.mark.parametrize(
    ("reason", "image_id", "status"),
    [
        ("ErrImagePull", "", "wrong"),
        ("ContainerCreating", "", "wrong"),
        ("CrashLoopBackOff", "x", "ok"),  # it was pulled, perhaps with credentials of the node
    ],
)
def test_pod_without_the_pull_secret_of_its_mirror_is_told_in_the_words_of_the_webhook(
    reason, image_id, status
):
    reader = MemoryReader()
    mirror = "{target: m.example/hub, pullSecrets: [harbor]}"
    reader.lists[MAPS] = [rules(f"rules: [{{match: docker.io, mirrors: [{mirror}]}}]")]
    given = failing(f"{HUB}/nginx", reason, "401", imageID=image_id)
    found = explained(reader, given)
    assert found.status == status
    if status == "ok":
        return
    assert found.fix.startswith("the Pod lacks the pull secret harbor, which cannot be added to")


@pytest.mark.parametrize(
    ("answer", "image_id", "status"),
    [("absent", "", "wrong"), ("present", "", "ok"), ("timeout", "", "ok"), ("absent", "x", "ok")],
)
def test_mirror_is_asked_for_an_image_that_was_not_pulled_yet(answer, image_id, status):
    given = failing(f"{HUB}/nginx", "ContainerCreating", "", imageID=image_id)
    found = explained(MemoryReader(), given, probing(answer))
    assert found.status == status
    assert ("the mirror lacks it" in found.text) == (status == "wrong")


def test_forbidden_rules_and_pods_are_unknown():
    reader = MemoryReader()
    reader.forbidden = ("configmaps",)
    assert explained(reader, pod("nginx")).status == "unknown"
    reader.forbidden = ("mutatingwebhookconfigurations",)
    assert explained(reader, pod("nginx")).status == "unknown"

"""What a Pod that is tried tells: who refused it, or why its image is unchanged."""

from __future__ import annotations

import pytest

from tests.cli.doctor.reader import MemoryReader, configuration, rules
from webhook.cli.doctor.checks import check_namespace
from webhook.cli.doctor.installation import read_installation
from webhook.cli.doctor.webhooks import CONFIGURATIONS
from webhook.kube import RefusedError

MAPS = "/api/v1/namespaces/mirrorhook/configmaps"
NAME = "default.mirrorhook.io"


def tried(reader, check="dry run"):
    found = [*check_namespace(reader, read_installation(reader), "shop", None)]
    return next(each for each in found if each.check == check)


# What the API server says; then the status, and words of the fix.
REFUSALS = {
    "pods is forbidden: exceeded quota: none, requested: pods=1": ("unknown", "resourcequota"),
    "is forbidden: failed quota: q: must specify limits.x": ("unknown", "asks for more"),
    "minimum memory usage per Container is 4Mi, but request is 1Mi": ("unknown", "limitrange"),
    'violates PodSecurity "restricted:latest"': ("unknown", "Pod Security"),
    'User "u" cannot create resource "pods"': ("unknown", "auth can-i create pods"),
    "because it is being terminated": ("unknown", "being deleted"),
    'error looking up service account: serviceaccount "default" not found': (
        *("unknown", "get serviceaccounts"),
    ),
    'admission webhook "vault.example" denied the request: no': ("unknown", "by vault.example"),
    'failed calling webhook "vault.example": refused': ("unknown", "by vault.example"),
    "ValidatingAdmissionPolicy 'team' denied request: no label": ("unknown", "by team"),
    "something new": ("unknown", "by something else"),
    f'failed calling webhook "{NAME}": context deadline exceeded': ("wrong", "allow TCP"),
    f'failed calling webhook "{NAME}": no route to host': ("wrong", "allow TCP"),
    f'failed calling webhook "{NAME}": connection refused': ("wrong", "see the replicas"),
    f'failed calling webhook "{NAME}": x509: unknown authority': ("wrong", "see trust"),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_refusal_is_blamed_on_who_refused(reason):
    status, fix = REFUSALS[reason]

    def refuse(image):
        raise RefusedError(f"cannot create a Pod: {reason}")

    reader = MemoryReader()
    reader.tried = refuse
    found = tried(reader)
    assert found.status == status
    assert fix in found.fix
    assert ("delete mutatingwebhookconfiguration" in found.fix) == (status == "wrong")


class Counting(MemoryReader):
    """Counts what an API server counts of each Pod that is tried and stays unchanged."""

    series = ""

    def __init__(self):
        super().__init__()
        self.tried = lambda image: image
        self.texts["/metrics"] = lambda: "".join(
            f'{self.series}{{name="{NAME}",operation="CREATE",type="admit"}} {count}\n'
            for count in [len(self.tried_pods)]
        )


FAILED = "apiserver_admission_webhook_fail_open_count"
EXCLUDED = "apiserver_admission_match_condition_exclusions_total"
CALLED = "apiserver_admission_webhook_admission_duration_seconds_count"
OWN = {"matchConditions": [{"name": "team.example/blue", "expression": "false"}]}


@pytest.mark.parametrize(
    ("series", "changes", "status", "message"),
    [
        (FAILED, {}, "wrong", "the API server could not call default.mirrorhook.io of"),
        (FAILED, {"timeoutSeconds": 1e-09}, "wrong", "did not answer within its 1e-09 s"),
        (EXCLUDED, OWN, "note", "a match condition excluded the Pod: team.example/blue"),
        (CALLED, {}, "wrong", "was called, and left it"),
        ("other", {}, "wrong", "the API server did not call default.mirrorhook.io of"),
        ("other", OWN, "wrong", "or that a match condition excluded the Pod (team.example/blue)"),
    ],
)
def test_unchanged_image_is_explained_by_the_counts_of_the_api_server(
    series, changes, status, message
):
    reader = Counting()
    reader.series = series
    reader.lists[CONFIGURATIONS] = [configuration(**changes)]
    found = tried(reader)
    assert found.status == status
    assert message in found.text


def test_unchanged_image_has_all_causes_if_the_metrics_are_forbidden():
    reader = Counting()
    reader.forbidden = ("/metrics",)
    reader.lists[CONFIGURATIONS] = [configuration(**OWN)]
    found = tried(reader)
    assert "you may not" in found.text
    assert "it was not reached" in found.text
    assert "team.example/blue" in found.text


def test_conditions_for_other_rules_are_told_by_a_pod_that_they_let_through():
    reader = Counting()
    condition = {"name": "mirrorhook.io/has-images-of-the-rules", "expression": "false"}
    reader.lists[CONFIGURATIONS] = [configuration(matchConditions=[condition])]
    reader.tried = lambda image: (
        image.replace("docker.io", "m.example/hub")
        if any(len(each["image"]) > 500 for each in reader.tried_pods[-1]["spec"]["containers"])
        else image
    )
    found = tried(reader)
    assert "is for other rules than those in the ConfigMap" in found.text


@pytest.mark.parametrize(
    ("selector", "labels", "message"),
    [
        ({"matchLabels": {"a": "b"}}, {"a": "b"}, "label a must be b"),
        (
            {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
            *({"a": "true"}, "label a must be set"),
        ),
        (
            {"matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]}]},
            *({"a": "x"}, "label a must be x or y"),
        ),
    ],
)
def test_tried_pod_has_the_labels_that_the_webhook_selects(selector, labels, message):
    reader = MemoryReader()
    reader.lists[CONFIGURATIONS] = [configuration(objectSelector=selector)]
    assert tried(reader).status == "ok"
    assert reader.tried_pods[-1]["metadata"]["labels"] == labels
    found = tried(reader, "Pods")
    assert found.status == "note"
    assert message in found.text


def test_releases_that_select_the_same_namespace_are_told_apart():
    reader = MemoryReader()
    second = configuration()
    second["metadata"] = {**second["metadata"], "name": "second.second"}
    reader.lists[CONFIGURATIONS].append(second)
    found = [*check_namespace(reader, read_installation(reader), "shop", None)]
    texts = [each.text for each in found if each.check == "namespace"]
    assert len(set(texts)) == 3
    assert f"{NAME} of mirrorhook.mirrorhook and {NAME} of second.second all handle" in texts[-1]


def test_each_release_has_its_own_rules():
    reader = MemoryReader()
    service = {"name": "second", "namespace": "mirrorhook"}
    second = configuration(clientConfig={"service": service})
    second["metadata"] = {**second["metadata"], "name": "second.mirrorhook"}
    reader.lists[CONFIGURATIONS].append(second)
    other = "rules: [{match: quay.io, mirrors: [q.example]}]"
    reader.lists[MAPS].append(rules(other, "second-rules"))
    installed = read_installation(reader)
    first, last = (installed.settings_of(each).mirrors for each in installed.webhooks)
    assert first.decide("nginx").image == "m.example/hub/library/nginx"
    assert last.decide("quay.io/a").image == "q.example/a"

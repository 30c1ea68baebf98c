"""What doctor says about custom resources."""

from __future__ import annotations

import time

import pytest

from tests.cli.doctor.reader import NOW, MemoryReader, configuration, deployment, rules
from tests.generate.custom_resources import define_kind
from webhook.cli.doctor.checks import check_cluster
from webhook.cli.doctor.custom_resources import check_custom_resources
from webhook.cli.doctor.installation import read_installation
from webhook.cli.doctor.webhooks import CONFIGURATIONS
from webhook.resources import Kind

GROUP = "/apis/mirrorhook.io/v1alpha1"
DEPLOYMENT = "/apis/apps/v1/namespaces/mirrorhook/deployments/mirrorhook"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MAPS = "/api/v1/namespaces/mirrorhook/configmaps"
DELEGATION = "delegation: {namespaces: {matchLabels: {team: a}}, mirrors: [m.example/*]}\n"
RULES = "rules: [{match: docker.io, mirrors: [m.example/hub]}]\n"
RULE = {"match": "quay.io", "mirrors": [{"target": "m.example/quay"}]}


def make(name, *rules, namespace="", created="2026-11-01T00:00:00Z", observed=3, **spec):
    metadata = {"name": name, "uid": f"{namespace}/{name}", "generation": 3}
    metadata["creationTimestamp"] = created
    if namespace:
        metadata["namespace"] = namespace
    condition = {"type": "Accepted", "status": "True", "observedGeneration": observed}
    found = {"metadata": metadata, "spec": {"rules": [*rules], **spec}}
    return {**found, "status": {"conditions": [condition]}}


@pytest.fixture
def reader():
    reader = MemoryReader()
    reader.objects[DEPLOYMENT] = deployment("--service-name=a", "--custom-resources")
    for kind in Kind:
        name = f"{kind.lower()}.mirrorhook.io"
        reader.objects[f"{DEFINITIONS}/{name}"] = define_kind(kind)
        reader.lists[f"{GROUP}/{kind.lower()}"] = []
    reader.lists[MAPS] = [rules(RULES + DELEGATION)]
    reader.lists["/api/v1/namespaces"] = [
        {"metadata": {"name": "shop", "labels": {"team": "a"}}},
        {"metadata": {"name": "other"}},
    ]
    return reader


def look(reader):
    found = check_cluster(reader, NOW)
    return [each for each in found if each.check in {"custom resources", "permissions"}]


def faults(reader):
    return [(each.text, each.fix) for each in look(reader) if each.status != "ok"]


def test_objects_in_use_are_counted(reader):
    reader.lists[f"{GROUP}/clustermirrorrules"] = [make("a", RULE)]
    reader.lists[f"{GROUP}/mirrorrules"] = [make("b", RULE, namespace="shop")]
    (found,) = look(reader)
    assert (found.status, found.text) == ("ok", "1 ClusterMirrorRules and 1 MirrorRules are in use")


def test_cluster_without_objects_has_nothing_to_report(reader):
    assert look(reader) == []


PROBLEMS = {
    "conflict": (
        [make("old", RULE), make("young", RULE, created="2026-11-02T00:00:00Z")],
        [],
        (
            "ClusterMirrorRules young, generation 3, is not in use (Conflict): spec.rules[0]: "
            "ClusterMirrorRules old"
        ),
        "kubectl edit clustermirrorrules young",
    ),
    "invalid": (
        [make("bad", {"match": "quay.io", "mirrors": [{"target": "x:y"}]})],
        [],
        (
            "ClusterMirrorRules bad, generation 3, is not in use (Invalid): "
            "spec.rules[0].mirrors[0].target: "
        ),
        "kubectl edit clustermirrorrules bad",
    ),
    "not delegated": (
        [],
        [make("rules", RULE, namespace="other")],
        "MirrorRules other/rules, generation 3, is not in use (NotDelegated): ",
        "give namespace other the labels of delegation.namespaces",
    ),
    "not allowed": (
        [],
        [make("rules", {"match": "a.io", "mirrors": [{"target": "b.io"}]}, namespace="shop")],
        "MirrorRules shop/rules, generation 3, is not in use (MirrorNotAllowed): ",
        "kubectl --namespace shop edit mirrorrules rules",
    ),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_object_that_is_not_in_use_is_named_with_its_key_and_generation(reader, problem):
    platform, team, text, fix = PROBLEMS[problem]
    reader.lists[f"{GROUP}/clustermirrorrules"] = platform
    reader.lists[f"{GROUP}/mirrorrules"] = team
    found = [each for each in faults(reader) if each[1]]
    assert len(found) == 1
    assert found[0][0].startswith(text)
    assert fix in found[0][1]


def test_missing_delegation_is_one_finding_for_all_objects(reader):
    reader.lists[MAPS] = [rules(RULES)]
    team = [make(f"r{n}", RULE, namespace="shop") for n in range(3)]
    reader.lists[f"{GROUP}/mirrorrules"] = team
    (found,) = (each for each in faults(reader) if each[1])
    assert found[0].startswith("3 MirrorRules have no effect, as delegation is not set: ")
    assert "set delegation in the values" in found[1]


def test_thousands_of_objects_without_delegation_are_reported_soon(reader):
    reader.lists[MAPS] = [rules(RULES)]
    team = [make("rules", RULE, namespace=f"n{n}") for n in range(4000)]
    reader.lists[f"{GROUP}/mirrorrules"] = team
    installed = read_installation(reader)
    (entry,) = installed.webhooks
    begin = time.process_time()
    found = [each.text for each in check_custom_resources(reader, installed, entry)]
    assert time.process_time() - begin < 1
    assert any(each.startswith("4000 MirrorRules have no effect") for each in found)


def test_many_objects_that_are_not_in_use_are_summed_up(reader):
    team = [make(f"r{n}", RULE, namespace=f"n{n}") for n in range(25)]
    reader.lists[f"{GROUP}/mirrorrules"] = team
    found = [each for each in faults(reader) if each[1]]
    assert len(found) == 21
    assert found[-1][0] == "5 more objects are not in use"


def test_status_that_nobody_has_written_is_found(reader):
    reader.lists[f"{GROUP}/clustermirrorrules"] = [make("a", RULE, observed=2)]
    ((text, fix),) = faults(reader)
    assert text == (
        "nobody has written the status of 1 objects: ClusterMirrorRules a, generation 3"
    )
    assert "get lease mirrorhook" in fix


def test_kind_that_is_missing_or_too_old_is_found(reader):
    del reader.objects[f"{DEFINITIONS}/mirrorrules.mirrorhook.io"]
    definition = reader.objects[f"{DEFINITIONS}/clustermirrorrules.mirrorhook.io"]
    (version,) = definition["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    del spec["rules"]["items"]["properties"]["enforced"]
    del spec["loops"]
    older, missing = faults(reader)
    assert "drops spec.loops, spec.rules[].enforced from objects" in older[0]
    assert "customResources.install: true" in older[1]
    assert "the API server does not know MirrorRules" in missing[0]


def test_missing_permissions_are_named(reader):
    user = "system:serviceaccount:mirrorhook:mirrorhook"
    reader.denied = {(user, "watch", "mirrorrules"), (user, "create", "events")}
    ((text, fix),) = faults(reader)
    assert "may not watch mirrorrules, create events" in text
    assert "helm upgrade" in fix


def test_objects_that_no_release_reads_have_no_effect(reader):
    reader.objects[DEPLOYMENT] = deployment("--service-name=a")
    reader.lists[f"{GROUP}/mirrorrules"] = [make("b", RULE, namespace="shop")]
    ((text, fix),) = faults(reader)
    assert text.startswith("1 MirrorRules have no effect: the replicas of mirrorhook do not read")
    assert "set customResources.enabled to true" in fix


@pytest.mark.parametrize("maps", [[], [rules("rules: [{}]")]])
def test_objects_of_a_release_with_wrong_rules_are_not_called_unread(reader, maps):
    reader.lists[MAPS] = maps
    reader.lists[f"{GROUP}/mirrorrules"] = [make("b", RULE, namespace="shop")]
    assert faults(reader) == []


def test_pod_is_explained_by_the_rules_of_its_namespace(reader):
    reader.lists[CONFIGURATIONS] = [configuration()]
    reader.lists[f"{GROUP}/mirrorrules"] = [make("b", RULE, namespace="shop")]
    installed = read_installation(reader)
    (entry,) = installed.webhooks
    own = installed.settings_of(entry, "shop").mirrors.decide("quay.io/a")
    assert own.image == "m.example/quay/a"
    assert "MirrorRules shop/b" in own.reason
    assert installed.settings_of(entry, "other").mirrors.decide("quay.io/a").image == "quay.io/a"

"""`mirrorhook doctor` finds the cause of each of these situations, and a fix that works."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.cluster.api import namespaced
from tests.cluster.doctoring import doctored, run_fix
from tests.cluster.processes import until
from tests.cluster.release import ROOT, released
from tests.cluster.world import ENABLED, MIRROR, RULES, pod
from webhook.tls.ca import create_ca

NAME = "mirrorhook-doctor"
NGINX = f"{MIRROR}/hub/library/nginx"
TIMEOUT = 2
VALUES = {
    "rules": RULES,
    "selection": {"excludedNamespaces": ["excluded"]},
    "webhook": {"timeoutSeconds": TIMEOUT, "matchConditionsFromRules": True},
}


@pytest.fixture(scope="module")
def release(plane, world):
    """A release that adds conditions from its rules."""
    with released(plane, VALUES, name=NAME) as release:
        world.wait_for(world.namespace(ENABLED), "nginx", NGINX)
        yield release


def asked(world, space, check="dry run", *more):
    """The result of one check on a namespace: status, message and fix."""
    _, found = doctored(world.plane, "--namespace", space, *more)
    return next((each for each in found if each["check"] == check), None)


def until_tried(world, space, expected):
    world.wait_for(space, "nginx", expected)


def test_doctor_finds_no_problem(world, release, space):
    assert asked(world, space)["status"] == "ok"


def test_doctor_names_a_match_condition_of_the_values(world, release, space):
    condition = {"name": "team.example/only-blue", "expression": "object.metadata.name == 'blue'"}
    release.install_again(webhook={**VALUES["webhook"], "matchConditions": [condition]})
    until_tried(world, space, "nginx")
    found = asked(world, space)
    assert found["status"] == "note"
    assert "a match condition excluded the Pod: team.example/only-blue" in found["message"]
    assert "webhook.matchConditions" in found["fix"]
    release.install_again(webhook=VALUES["webhook"])
    until_tried(world, space, NGINX)


def test_doctor_finds_rules_that_were_changed_without_helm(world, release, space):
    path = namespaced("configmaps", release.name, f"{release.name}-rules")
    good = world.api.get(path)["data"]
    other = "rules: [{match: ghcr.io, mirrors: [mirror.example/ghcr]}]\n"
    world.api.patch(path, {"data": {"rules.yaml": other}})
    release.bring_rules()
    try:
        found = until(
            lambda: "for other rules" in (found := asked(world, space))["message"] and found,
            "the other rules",
        )
        assert found["status"] == "wrong"
        assert "mirrorhook.io/has-images-of-the-rules" in found["message"]
        assert "helm upgrade" in found["fix"]
    finally:
        world.api.patch(path, {"data": good})
        release.bring_rules()
    until_tried(world, space, NGINX)


@contextmanager
def stopped(release):
    """Kill the Pod of a release until the end of the block, and yield the Service's address."""
    (replica,) = release.replicas
    release.kill(replica)
    until(lambda: not release.proxy.ready, "the end of the endpoint")
    yield release.proxy.address
    release.run_replicas()


def test_doctor_finds_a_webhook_that_cannot_be_called(world, release, space):
    with stopped(release):
        found = asked(world, space)
    assert found["status"] == "wrong"
    assert "the API server could not call default.mirrorhook.io" in found["message"]
    until_tried(world, space, NGINX)


def test_doctor_finds_a_firewall(world, release, space):
    with stopped(release) as address, socket.create_server((address, 443)):
        found = asked(world, space)  # nobody accepts the connection
    assert found["status"] == "wrong"
    assert f"did not answer within its {TIMEOUT} s" in found["message"]
    assert "allow TCP from the API server to port 8443" in found["fix"]
    until_tried(world, space, NGINX)


def test_doctor_finds_a_foreign_ca_that_the_replicas_may_not_replace(world, release, space):
    binding = f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{NAME}.{NAME}"
    world.api.delete(binding)
    bundle = base64.b64encode(create_ca("stranger", datetime.now(UTC), timedelta(days=9)).pem)
    configuration = world.api.get(release.configuration)
    for webhook in configuration["webhooks"]:
        webhook["clientConfig"]["caBundle"] = bundle.decode()
    world.api.put(release.configuration, configuration)
    until_tried(world, space, "nginx")
    found = asked(world, space, "permissions")
    assert f"{NAME}/{NAME} may not patch MutatingWebhookConfiguration" in found["message"]
    run_fix(world.plane, found["fix"].partition(",")[0])
    until_tried(world, space, NGINX)
    assert asked(world, space, "permissions") is None


def test_doctor_finds_a_service_that_selects_nothing(world, release, plane):
    path = namespaced("services", NAME, NAME)
    world.api.patch(path, {"spec": {"selector": {"app.kubernetes.io/component": "other"}}})
    _, found = doctored(plane)
    (replicas,) = (each for each in found if each["check"] == "replicas")
    assert "component=other," in replicas["message"]
    assert " selects none of the " in replicas["message"]
    run_fix(plane, replicas["fix"])
    _, found = doctored(plane)
    assert "selects none" not in str(found)


def test_doctor_finds_a_deployment_that_is_scaled_to_0(world, release, plane):
    plane.kubectl("--namespace", NAME, "scale", "deployment", NAME, "--replicas=0")
    pods = namespaced("pods", NAME)
    until(lambda: not world.api.get(pods)["items"], "the end of the Pods")
    _, found = doctored(plane)
    (replicas,) = (each for each in found if each["check"] == "replicas")
    assert f"Deployment {NAME}/{NAME} is scaled to 0" in replicas["message"]
    run_fix(plane, replicas["fix"])
    until(lambda: world.api.get(pods)["items"], "Pods")


def test_doctor_says_which_pods_an_object_selector_selects(world, release, space):
    selector = {"matchLabels": {"team": "blue"}}
    release.install_again(selection={**VALUES["selection"], "objectSelector": selector})
    until_tried(world, space, "nginx")
    assert asked(world, space)["status"] == "ok"
    found = asked(world, space, "Pods")
    assert "label team must be blue" in found["message"]
    world.create(space, pod("nginx"))
    _, (found,) = doctored(world.plane, "-n", space, "pod/web")
    assert "set team=blue" in found["fix"]
    assert "operator" not in found["message"]
    release.install_again(selection=VALUES["selection"])
    until_tried(world, space, NGINX)


def test_doctor_says_how_a_namespace_gets_selected(world, release, plane):
    world.namespace(ENABLED, name="excluded")
    selection = {**VALUES["selection"], "namespaceSelector": {"matchLabels": {"env": "prod"}}}
    release.install_again(selection=selection)
    name = world.namespace()
    until_tried(world, name, "nginx")
    found = asked(world, name, "namespace")
    run_fix(plane, found["fix"].partition(";")[0])
    until_tried(world, name, NGINX)
    assert asked(world, name, "namespace")["status"] == "ok"

    found = asked(world, "excluded", "namespace")
    assert "remove excluded from selection.excludedNamespaces" in found["fix"]

    found = asked(world, release.name, "namespace")
    assert found["status"] == "note"
    release.install_again(selection=VALUES["selection"])


def test_doctor_blames_a_quota_for_what_it_refuses(world, release, space):
    hard = {"spec": {"hard": {"pods": "0"}}, "metadata": {"name": "none"}}
    world.api.post(namespaced("resourcequotas", space), hard)
    found = until(lambda: (f := asked(world, space))["status"] == "unknown" and f, "the quota")
    assert "exceeded quota" in found["message"]
    assert "resourcequota" in found["fix"]
    assert "delete" not in found["fix"]


def test_doctor_restores_a_configuration_that_was_deleted(world, release, space):
    world.api.delete(release.configuration)
    until_tried(world, space, "nginx")
    found = asked(world, space, "webhook")
    assert f"release {NAME}/{NAME} was deleted" in found["message"]
    assert (
        found["fix"]
        == f"helm upgrade {NAME} charts/mirrorhook --namespace {NAME} --reset-then-reuse-values"
    )
    run_fix(world.plane, found["fix"])
    until_tried(world, space, NGINX)


def test_doctor_reports_two_releases_for_one_namespace(world, plane, release, space):
    with released(plane, {"rules": RULES}, name="mirrorhook-second"):
        found = [e for e in doctored(plane, "-n", space)[1] if e["check"] == "namespace"]
    assert len({each["message"] for each in found}) == len(found) == 3
    assert "all handle the Pods" in found[-1]["message"]


def kubeconfig_of(plane, token):
    """A kubeconfig of another user."""
    config = json.loads(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = plane.folder / "limited-kubeconfig"
    path.write_text(json.dumps(config))
    return path


def test_doctor_reports_what_it_may_not_read_as_unknown(world, plane, release, space):
    token = world.api.create_token(space, "default")
    allowed = ("--kubeconfig", str(kubeconfig_of(plane, token)), "--namespace", space)
    code, found = doctored(plane, *allowed)
    assert code == 1
    statuses = {each["check"]: each["status"] for each in found}
    assert statuses["API server"] == "ok"
    assert statuses["webhook"] == statuses["namespace"] == "unknown"
    role = f"clusterrole=mirrorhook-doctor-{space}"
    resources = "--resource=mutatingwebhookconfigurations,namespaces"
    plane.kubectl("create", *role.split("="), "--verb=get,list", resources)
    subject = f"--serviceaccount={space}:default"
    plane.kubectl("create", "clusterrolebinding", role.partition("=")[2], f"--{role}", subject)
    code, found = doctored(plane, *allowed)
    assert code == 1
    statuses = {each["check"]: each["status"] for each in found}
    assert statuses["webhook"] == statuses["namespace"] == "ok"
    assert statuses["rules"] == statuses["replicas"] == statuses["dry run"] == "unknown"


def test_doctor_cannot_ask_an_api_server_that_is_away(plane):
    config = json.loads(plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = plane.folder / "away-kubeconfig"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "webhook", "doctor", "--kubeconfig", path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Connection refused" in done.stderr

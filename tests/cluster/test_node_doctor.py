"""`mirrorhook doctor` on a cluster with real problems."""

from __future__ import annotations

import base64
import json
import re
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tests.cluster.api import namespaced
from tests.cluster.deployment import NAME, install, replicas
from tests.cluster.doctoring import doctored, faults, run_fix
from tests.cluster.node import REGISTRY
from tests.cluster.processes import until
from tests.cluster.world import ENABLED, pod
from webhook.cli.doctor.webhooks import CONFIGURATIONS
from webhook.tls.ca import create_ca

CONFIGURATION = f"{CONFIGURATIONS}/mirrorhook.mirrorhook"
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/mirrorhook.mirrorhook"
RULES = namespaced("configmaps", NAME, "mirrorhook-rules")
AHEAD = (
    "import time; real = time.time; time.time = lambda: real() + 100; "
    "from webhook.cli.main import main; main()"
)
DEPLOYMENT = namespaced("apps/v1/deployments", NAME, "mirrorhook")


@pytest.fixture(scope="module")
def world(node_world, installed):
    return node_world


@pytest.fixture
def space(world):
    return world.namespace(ENABLED)


def asked(node, *arguments, **options):
    return doctored(node.plane, *arguments, **options)


def wrong(node, *arguments):
    return faults(node.plane, *arguments)


def test_doctor_finds_no_problem_in_a_healthy_cluster(installed, space):
    until(lambda: len(replicas(installed)) == 2, "two replicas")
    code, found = asked(installed, "--namespace", space)
    assert code == 0
    assert {each["status"] for each in found} == {"ok"}, found
    assert [each["check"] for each in found].count("certificate") == 2
    assert found[-1]["check"] == "dry run"


def test_doctor_reports_a_namespace_without_label(installed, world):
    name = world.namespace()
    what, fix = wrong(installed, "--namespace", name)["namespace"]
    assert "mirrorhook.io/rewrite must be enabled" in what
    world.plane.kubectl(*fix.split()[1:])
    assert wrong(installed, "--namespace", name) == {}


def test_doctor_reports_a_wrong_clock(installed):
    code, found = asked(installed, program=("-c", AHEAD))
    clock = next(each for each in found if each["check"] == "clock")
    assert (code, clock["status"]) == (1, "note")
    assert re.search(r"this machine is (99|100|101) s ahead of the API server", clock["message"])


def test_doctor_reports_a_missing_webhook_and_an_older_pod(installed, world, space):
    world.api.delete(CONFIGURATION)
    world.create(space, pod("nginx"))
    what, fix = wrong(installed, "--namespace", space)["webhook"]
    assert "webhook configuration of release mirrorhook/mirrorhook was deleted" in what
    run_fix(installed.plane, fix)
    until(lambda: wrong(installed, "--namespace", space) == {}, "its end")
    what, fix = wrong(installed, "pod", f"{space}/web")["c0"]
    assert "but the Pod is older than the webhook" in what
    assert f"kubectl --namespace {space} delete pod web" in fix


def trust(world, authority):
    """Make the API server trust another CA instead of that of the webhook."""
    found = world.api.get(CONFIGURATION)
    for webhook in found["webhooks"]:
        webhook["clientConfig"]["caBundle"] = base64.b64encode(authority.pem).decode()
    world.api.put(CONFIGURATION, found)


def test_doctor_reports_an_untrusted_certificate(installed, world, space):
    world.api.delete(BINDING)
    now, long = datetime.now(UTC), timedelta(days=9)
    trust(world, create_ca("expired", now - 2 * long, long))
    assert "expired on" in wrong(installed)["trust"][0]
    trust(world, create_ca("stranger", now, long))
    faults = until(
        lambda: (
            (found := wrong(installed, "--namespace", space)).keys()
            == {"permissions", "certificate", "dry run"}
            and found
        ),
        "both faults",
    )
    assert "does not trust" in faults["certificate"][0]
    assert "failed calling webhook" in faults["dry run"][0]
    run_fix(installed.plane, faults["permissions"][1].partition(",")[0])
    until(lambda: wrong(installed, "--namespace", space) == {}, "its end")


def put_certificate(world, authority, lifetime):
    """Write a certificate into the Secret of the mode "existing"."""
    made = authority.issue(["mirrorhook.mirrorhook.svc"], datetime.now(UTC), lifetime)
    data = {"tls.crt": made.chain, "tls.key": made.key}
    encoded = {name: base64.b64encode(value).decode() for name, value in data.items()}
    body = {"metadata": {"name": "ours"}, "type": "kubernetes.io/tls", "data": encoded}
    path = namespaced("secrets", NAME)
    if world.api.find(f"{path}/ours"):
        world.api.patch(f"{path}/ours", {"data": encoded})
    else:
        world.api.post(path, body)


def test_doctor_tells_how_to_replace_an_expired_certificate(installed, world, space):
    authority = create_ca("ours", datetime.now(UTC), timedelta(days=9))
    put_certificate(world, authority, timedelta(seconds=60))
    bundle = {"secretName": "ours", "caBundle": authority.pem.decode()}
    install(installed, certificates={"mode": "existing", "existing": bundle})
    what, fix = until(
        lambda: wrong(installed, "--namespace", space).get("certificate"), "its expiry", 120
    )
    assert "certificate has expired" in what
    assert "put a new certificate into Secret mirrorhook/ours" in fix
    assert "delete pod" not in fix
    put_certificate(world, authority, timedelta(days=5))
    for each in replicas(installed):  # a change of a Pod makes the kubelet look at its Secrets
        path = namespaced("pods", NAME, each["metadata"]["name"])
        world.api.patch(path, {"metadata": {"annotations": {"a": "b"}}})
    until(lambda: wrong(installed, "--namespace", space) == {}, "its end")
    install(installed)
    until(lambda: wrong(installed, "--namespace", space) == {}, "its end")


def test_doctor_reports_an_unreachable_webhook(installed, world, space):
    world.api.patch(DEPLOYMENT, {"spec": {"replicas": 0}})
    until(lambda: not replicas(installed), "the end of the replicas")
    selected = {"labelSelector": "app.kubernetes.io/component=webhook"}
    pods = namespaced("pods", NAME)
    until(lambda: not world.api.get(pods, **selected)["items"], "the end of the Pods")
    faults = wrong(installed, "--namespace", space)
    assert "has no Pods: Deployment mirrorhook/mirrorhook is scaled to 0" in faults["replicas"][0]
    assert "failed calling webhook" in faults["dry run"][0]
    run_fix(installed.plane, faults["replicas"][1])
    until(lambda: wrong(installed, "--namespace", space) == {}, "its end")


def test_doctor_reports_an_image_that_cannot_be_pulled(installed):
    gone = {"registry": REGISTRY, "repository": "gone", "tag": "1"}
    install(installed, wait=False, image=gone)

    def read_problem():
        what, fix = wrong(installed).get("replica", ("", ""))
        return "ErrImagePull" in what or "ImagePullBackOff" in what, fix

    until(lambda: read_problem()[0], "the image that is not there")
    assert "image.registry" in read_problem()[1]
    install(installed)
    until(lambda: wrong(installed) == {}, "its end")


def test_doctor_reports_invalid_rules(installed, world):
    world.api.patch(RULES, {"data": {"rules.yaml": "rules: [{match: docker.io}]"}})
    what, fix = wrong(installed)["rules"]
    assert "rules.yaml:1:9: rules[0]: " in what
    assert "neither mirrors nor keep" in what
    upgrade = fix.partition("then run ")[2].partition(" (with ")[0]
    run_fix(installed.plane, f"{upgrade} --force-conflicts")
    assert wrong(installed) == {}


def labelled(key, value):
    """Return a Pod with a label."""
    return pod("nginx") | {"metadata": {"name": "web", "labels": {key: value}}}


def of_the_node(image):
    """Return a Pod with the pull policy Never."""
    given = pod(image)
    given["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    return given


# The Pod, the status, a part of the result, and a part of the fix.
PODS = {
    "rewritten": (pod("nginx"), "ok", "rewritten from nginx", ""),
    "without a rule": (
        pod("r.example/x"),
        "note",
        "no rule matches r.example/x",
        "add a rule",
    ),
    "with a longer rule": (pod("quay.io/our/x"), "note", "rule quay.io/our keeps it", ""),
    "at the mirror already": (*(pod(f"{REGISTRY}/hub/library/nginx"), "note", "is unchanged", ""),),
    "with no image name": (pod("Nginx"), "wrong", "must be in lower case", "correct"),
    "of the node": (of_the_node("nginx"), "note", "its pull policy is Never", ""),
    "opted out": (
        labelled("mirrorhook.io/rewrite", "disabled"),
        *("note", "its label mirrorhook.io/rewrite is disabled", "remove"),
    ),
    "of an operator": (
        labelled("application", "spilo"),
        *("note", "application must not be spilo", "docs/install.md"),
    ),
}


@pytest.mark.parametrize("case", PODS)
def test_doctor_explains_a_pod(installed, world, space, case):
    given, status, what, fix = PODS[case]
    installed.push("hub/library/nginx:latest")
    world.create(space, given)
    code, (found,) = asked(installed, "-n", space, "pod/web")
    assert (code, found["status"]) == (int(status != "ok"), status)
    assert what in found["message"]
    assert fix in (found["fix"] or "")


def test_doctor_reports_an_image_that_the_mirror_lacks(installed, world, space):
    world.create(space, pod("quay.io/gone:1"))
    find = partial(wrong, installed, "pod", f"{space}/web")
    what, fix = until(lambda: find().get("c0"), "the failure to pull")
    assert f"{REGISTRY}/quay/gone:1, rewritten from quay.io/gone:1, but the node cannot" in what
    assert "mirrorhook copy --config rules.yaml quay.io/gone:1" in fix


def test_doctor_quotes_what_a_replica_logged(installed, world, space):
    checks = {"mode": "check", "plainHTTP": [REGISTRY]}
    install(installed, availability=checks)
    image = "gcr.io/lacking:1"
    until(lambda: world.tried(space, image) == image, "the checks")
    world.create(space, pod(image))
    what, fix = wrong(installed, "pod", f"{space}/web")["c0"]
    assert "when the Pod was created the webhook left it (unavailable)" in what
    assert "(log of mirrorhook-" in what
    assert f"mirrorhook copy --config rules.yaml {image}" in fix
    install(installed)
    until(lambda: world.tried(space, image) != image, "the end of the checks")


def test_doctor_reports_a_pod_older_than_the_opt_in(installed, world):
    name = world.namespace()
    world.create(name, pod("nginx"))
    time.sleep(1.1)  # times of the API server have no fractions
    assert "must be enabled" in wrong(installed, "pod", f"{name}/web")["namespace"][0]
    world.plane.kubectl("label", "namespace", name, "mirrorhook.io/rewrite=enabled")
    what, fix = wrong(installed, "pod", f"{name}/web")["c0"]
    assert "its namespace had not opted in" in what
    assert f"kubectl --namespace {name} delete pod web" in fix


def test_doctor_explains_a_static_pod(installed):
    given = pod(f"{REGISTRY}/test/pause:1", name="static", hostNetwork=True)
    (installed.folder / "static/static.json").write_text(json.dumps(given))
    path = namespaced("pods", "default", "static-node-1")
    until(lambda: installed.plane.api.find(path), "the Pod of the kubelet")
    code, (found,) = asked(installed, "pod", "default/static-node-1")
    assert (code, found["status"]) == (1, "note")
    assert "static Pod" in found["message"]
    (installed.folder / "static/static.json").unlink()
    until(lambda: not installed.plane.api.find(path), "its end")
